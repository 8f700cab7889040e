#include "checkpoint/gguf/gguf_export_tokenizer.h"

#include <algorithm>
#include <cassert>
#include <cctype>
#include <map>
#include <optional>

#include "checkpoint/generation_config.h"
#include "checkpoint/gguf/gguf_tokenizer.h"
#include "checkpoint/tokenizer/chat_template_source.h"
#include "checkpoint/tokenizer/json_tokenizer.h"
#include "checkpoint/tokenizer/json_tokenizer_model.h"
#include "checkpoint/tokenizer/tokenizer_class.h"
#include "checkpoint/tokenizer/tokenizer_config.h"
#include "core/error.h"
#include "core/files.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;
using Kind = GgufVocabulary::Kind;

// Scripts, white space, digits, contractions, punctuation and joined emoji: where tokenizers differ.
constexpr const char* kProbe =
    "Hello, world! It's 3.14159 o'clock;  we'll\tsee\n\n\n   indented\r\nline\u00a0here... don't WON'T 1234567890 "
    "na\u00efve e\u0301 \u00e9 \u4f60\u597d\uff0c\u4e16\u754c \u041f\u0440\u0438\u0432\u0435\u0442 "
    "\u0645\u0631\u062d\u0628\u0627 \u3053\u3093\u306b\u3061\u306f \ud55c\uad6d\uc5b4 "
    "\U0001f600\U0001f468\u200d\U0001f469\u200d\U0001f467 a_b-c/d\\e f(x)=x**2; https://example.org/?q=1&r=2 \u00bd "
    "\u2167 ";

class TokenizerExport {
 public:
  TokenizerExport(const fs::path& directory, const ModelConfig& config)
      : path_(directory / "tokenizer.json"),
        beside_(ReadTokenizerConfig(directory)),
        file_(ReadFile(path_, &beside_)),
        parts_(file_, path_.string()),
        ours_(ReadJsonTokenizer(file_, path_.string(), beside_)),
        config_(config) {
    if (parts_.is_unigram)
      Fail(path_.string() + ": model", "is a Unigram model, which cannot be written as GGUF; BPE models can");
  }

  void Put(const fs::path& directory, GgufWriter* out, std::vector<std::string>* notes) {
    CollectTokens(notes);
    if (parts_.bpe_options.byte_level)
      PutByteLevel(out);
    else
      PutSentencePiece(out);
    out->Key("tokenizer.ggml.tokens", tokens_);
    out->Key("tokenizer.ggml.token_type", kinds_);
    PutSpecialIds(directory, out, notes);
    PutChatTemplates(directory, out, notes);
  }

  // metadata: a GGUF file without tensors that has the keys.
  void RequireSameIds(const std::string& metadata, std::vector<std::string>* notes) const {
    const std::string where = path_.string();
    const GgufContents gguf = ParseGguf(std::as_bytes(std::span(metadata)), where);
    const GgufVocabulary vocabulary = ReadGgufVocabulary(gguf);
    const auto theirs = ReadJsonTokenizer(TokenizerJson(vocabulary, where).dump(), where, {});
    auto compare = [&](const std::string& text) {
      const auto expected = ours_->Encode(text, true), found = theirs->Encode(text, true);
      if (expected != found)
        Fail(where, "GGUF cannot say all that it does: {} has the ids {}, and in GGUF would have {}",
             Json(text).dump(-1, ' ', false, Json::error_handler_t::replace), fmt::join(expected, " "),
             fmt::join(found, " "));
    };
    compare(kProbe);
    compare("");
    // Sentencepiece puts a space before every text; Metaspace, which LlamaTokenizer has, none before one that is there.
    const Json pre_tokenizer = file_.json.value("pre_tokenizer", Json());
    const bool metaspace = pre_tokenizer.is_object() && pre_tokenizer.value("type", "") == "Metaspace";
    if (metaspace) notes->push_back("text that starts with a space gets one more from llama.cpp");
    const bool space_at_start_only = HasSpaceAtStartOnly();
    if (space_at_start_only)
      notes->push_back("text after a special token starts without a space, where llama.cpp puts one");
    for (const AddedToken& token : parts_.added_tokens) compare("a" + token.content + (space_at_start_only ? "" : "b"));
    for (int64_t id = 0; id < parts_.decoded.size(); ++id) {
      if (!parts_.decoded.Has(id)) continue;
      std::string_view text = parts_.decoded.Bytes(static_cast<int32_t>(id));
      while (metaspace && text.starts_with(' ')) text.remove_prefix(1);
      compare(std::string(text));
    }
  }

 private:
  static JsonTokenizerFile ReadFile(const fs::path& path, TokenizerConfig* beside) {
    JsonTokenizerFile file = ParseJsonTokenizer(ReadTextFile(path), path.string());
    ApplyTokenizerConfig(path.string(), beside, &file);
    return file;
  }

  // Sentencepiece's space before a text: before every stretch of text between special tokens, or before the first only.
  bool HasSpaceAtStartOnly() const {
    if (parts_.bpe_options.byte_level) return false;
    const std::vector<int32_t> alone = ours_->Encode("a", false);
    for (const AddedToken& token : parts_.added_tokens) {
      std::vector<int32_t> with_space = alone;
      with_space.insert(with_space.begin(), token.id);
      if (token.special && !token.rstrip && ours_->Encode(token.content + "a", false) != with_space) return true;
    }
    return false;
  }

  // The default one under its own key, the others by name, with a list of the names.
  static void PutChatTemplates(const fs::path& directory, GgufWriter* out, std::vector<std::string>* notes) {
    const ChatTemplateTexts texts = ReadChatTemplates(directory);
    if (!texts.note.empty()) notes->push_back("chat template: " + texts.note);
    std::vector<std::string> names;
    for (const ChatTemplateText& chat : texts.templates) {
      if (chat.name == "default") {
        out->Key("tokenizer.chat_template", chat.text);
        continue;
      }
      std::string name = chat.name;
      std::replace_if(
          name.begin(), name.end(), [](unsigned char c) { return c > 127 || !std::isalnum(c); }, '_');
      if (std::find(names.begin(), names.end(), name) != names.end())
        Fail(chat.where, "two chat templates would both be called \"{}\" in a GGUF file", name);
      out->Key("tokenizer.chat_template." + name, chat.text);
      names.push_back(name);
    }
    if (!names.empty()) out->Key("tokenizer.chat_templates", names);
    if (!names.empty() && !texts.Find("default"))
      notes->push_back("the checkpoint has no chat template called \"default\": programs that take one by name only");
  }

  void CollectTokens(std::vector<std::string>* notes) {
    const int64_t count = config_.vocab_size;
    if (parts_.decoded.size() > count)
      Fail(path_.string(), "has ids up to {}, but the model has an embedding of {} rows", parts_.decoded.size() - 1,
           count);
    for (int64_t id = 0; id < count; ++id) tokens_.push_back(fmt::format("[PAD{}]", id));
    kinds_.assign(static_cast<size_t>(count), static_cast<int32_t>(Kind::kUnused));
    auto put = [&](int32_t id, const std::string& token, Kind kind) {
      tokens_[static_cast<size_t>(id)] = token;
      kinds_[static_cast<size_t>(id)] = static_cast<int32_t>(kind);
      ids_[token] = id;
    };
    for (const auto& [token, id] : file_.vocab) put(id, token, IsByte(token) ? Kind::kByte : Kind::kNormal);
    for (const AddedToken& token : parts_.added_tokens) {
      const bool unknown = !parts_.bpe_options.byte_level && token.id == parts_.bpe_options.unk;
      put(token.id, token.content, unknown ? Kind::kUnknown : token.special ? Kind::kControl : Kind::kUserDefined);
      if (token.single_word || token.lstrip || token.rstrip)
        notes->push_back(fmt::format(
            "the token {} strips white space or stands for whole words only, which GGUF cannot say", token.content));
    }
  }

  bool IsByte(const std::string& token) const {
    return parts_.bpe_options.byte_fallback && token.size() == 6 && token.starts_with("<0x") && token.ends_with(">");
  }

  void PutByteLevel(GgufWriter* out) const {
    const Json normalizer = file_.json.value("normalizer", Json());
    if (!normalizer.is_null() && normalizer != Json{{"type", "NFC"}})
      Fail(path_.string() + ": normalizer", "is none that GGUF can say of a byte-level tokenizer: null and NFC are");
    out->Key("tokenizer.ggml.model", std::string("gpt2"));
    out->Key("tokenizer.ggml.pre", PreTokenizerName(file_.json, path_.string()));
    std::vector<std::string> merges;
    for (const auto& [left, right] : file_.merges) merges.push_back(fmt::format("{} {}", left, right));
    out->Key("tokenizer.ggml.merges", merges);
  }

  // Where tokenizer.json ranks merges, GGUF ranks the pieces that they make.
  void PutSentencePiece(GgufWriter* out) const {
    if (!parts_.bpe_options.byte_fallback)
      Fail(path_.string(), "is neither byte-level nor has it byte_fallback; GGUF has a model for those two");
    std::map<std::string, float, std::less<>> rank;
    for (const auto& [left, right] : file_.merges) rank.emplace(left + right, -static_cast<float>(rank.size()));
    std::vector<float> scores;
    for (const std::string& token : tokens_) {
      const auto found = rank.find(token);
      scores.push_back(found != rank.end() ? found->second : -static_cast<float>(rank.size()));
    }
    out->Key("tokenizer.ggml.model", std::string("llama"));
    out->Key("tokenizer.ggml.pre", std::string("default"));
    out->Key("tokenizer.ggml.scores", scores);
    const auto probe = ours_->Encode("a", false);
    const bool prefix = !probe.empty() && ours_->Bytes(probe[0], false).starts_with(' ');
    out->Key("tokenizer.ggml.add_space_prefix", prefix);
  }

  std::optional<int64_t> IdOf(const std::optional<std::string>& token) const {
    const auto found = token ? ids_.find(*token) : ids_.end();
    return found == ids_.end() ? std::nullopt : std::optional<int64_t>(found->second);
  }

  // Whether one token, named, stands there; nothing else could be said.
  bool Adds(const std::vector<int32_t>& ids, std::optional<int64_t>* named, const char* what) const {
    if (ids.empty()) return false;
    if (ids.size() > 1)
      Fail(path_.string() + ": post_processor", "puts {} tokens {} a text; GGUF can say one", ids.size(), what);
    *named = ids[0];
    return true;
  }

  void PutSpecialIds(const fs::path& directory, GgufWriter* out, std::vector<std::string>* notes) const {
    std::optional<int64_t> bos = IdOf(beside_.Text("bos_token")), eos = IdOf(beside_.Text("eos_token"));
    const std::vector<int64_t> ends = EndIds(directory, config_, eos);
    if (!eos && !ends.empty()) eos = ends[0];
    const bool add_bos = Adds(parts_.before_text, &bos, "before"), add_eos = Adds(parts_.after_text, &eos, "after");
    auto put = [&](const char* name, const std::optional<int64_t>& id) {
      if (id) out->Key(fmt::format("tokenizer.ggml.{}_token_id", name), *id);
    };
    put("bos", bos);
    put("eos", eos);
    if (!parts_.bpe_options.byte_level && parts_.bpe_options.unk >= 0) put("unknown", parts_.bpe_options.unk);
    put("padding", IdOf(beside_.Text("pad_token")));
    out->Key("tokenizer.ggml.add_bos_token", add_bos);
    out->Key("tokenizer.ggml.add_eos_token", add_eos);
    PutFurtherEnds(ends, eos, out, notes);
  }

  // llama.cpp ends a text at the tokens of three keys: eos, eot (of a turn) and eom (of a message).
  void PutFurtherEnds(std::vector<int64_t> ends, std::optional<int64_t> eos, GgufWriter* out,
                      std::vector<std::string>* notes) const {
    std::erase(ends, eos.value_or(-1));
    const auto put = [&](const char* name, std::vector<int64_t>::iterator id) {
      out->Key(fmt::format("tokenizer.ggml.{}_token_id", name), *id);
      ends.erase(id);
    };
    // The token that Llama 3 calls so; else eom is a place for a third.
    const auto message =
        std::ranges::find_if(ends, [&](int64_t id) { return tokens_[static_cast<size_t>(id)] == "<|eom_id|>"; });
    const bool has_message = message != ends.end();
    if (has_message) put("eom", message);
    if (!ends.empty()) put("eot", ends.begin());
    if (!has_message && !ends.empty()) put("eom", ends.begin());
    for (int64_t id : ends)
      notes->push_back(fmt::format("generation also stops at token {}, for which GGUF has no key", id));
  }

  fs::path path_;
  TokenizerConfig beside_;
  JsonTokenizerFile file_;
  JsonTokenizerModel parts_;
  std::unique_ptr<Tokenizer> ours_;
  const ModelConfig& config_;
  std::vector<std::string> tokens_;  // by id
  std::vector<int32_t> kinds_;
  std::map<std::string, int32_t, std::less<>> ids_;
};

}  // namespace

void PutGgufTokenizer(const fs::path& directory, const ModelConfig& config, GgufWriter* out,
                      std::vector<std::string>* notes) {
  if (!fs::exists(directory / "tokenizer.json"))
    Fail(directory.string(),
         "holds no tokenizer.json, which the vocabulary of a GGUF file is made from; save_pretrained of transformers' "
         "AutoTokenizer writes one");
  assert(out->tensors().empty());
  TokenizerExport tokenizer(directory, config);
  tokenizer.Put(directory, out, notes);
  tokenizer.RequireSameIds(out->Header(), notes);
}

}  // namespace ecld
