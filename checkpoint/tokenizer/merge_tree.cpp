#include "checkpoint/tokenizer/merge_tree.h"

#include <algorithm>
#include <string>

#include "checkpoint/tokenizer/json_tokenizer_model.h"
#include "checkpoint/tokenizer/token_ids.h"
#include "checkpoint/tokenizer/tokenizer_class.h"
#include "checkpoint/tokenizer/tokenizer_config.h"
#include "core/error.h"
#include "core/files.h"
#include "core/unicode.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

using Token = MergeTree::Token;

bool IsByteToken(std::string_view token) {  // "<0x0A>"
  return token.size() == 6 && token.starts_with("<0x") && token.ends_with('>');
}

// Whether a character without a token of its own is still written, by the tokens of its bytes.
bool HasOtherForm(std::string_view character, const JsonTokenizerModel& model) {
  return model.bpe_options.byte_fallback && !model.bpe_options.byte_level &&
         std::ranges::all_of(character, [&](char byte) {
           return model.vocabulary.Find(fmt::format("<0x{:02X}>", static_cast<unsigned char>(byte))) >= 0;
         });
}

// Runs the merges of one token's text, to see the last of them.
class Joiner {
 public:
  Joiner(const JsonTokenizerModel& model, MergeTable merges) : model_(model), merges_(std::move(merges)) {}

  void Join(std::string_view bytes, int32_t id, Token* token) {
    symbols_.clear();
    const bool by_byte = model_.bpe_options.byte_level;
    for (size_t i = 0; i < bytes.size();) {
      const size_t size = by_byte ? 1 : CharAt(bytes, i).size;
      symbols_.push_back(model_.vocabulary.Find(bytes.substr(i, size)));
      i += size;
    }
    token->symbols = static_cast<int32_t>(symbols_.size());
    while (symbols_.size() > 1) {
      const size_t best = Lowest();
      if (best == symbols_.size()) return;  // the merges end elsewhere
      const MergeTable::Found found = merges_.Find(symbols_[best], symbols_[best + 1]);
      if (symbols_.size() == 2 && found.merged == id) {
        token->left = symbols_[0];
        token->right = symbols_[1];
        token->rank = found.rank;
      }
      symbols_[best] = found.merged;
      symbols_.erase(symbols_.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
  }

 private:
  // Of the pairs that merge the one of lowest rank, leftmost among equals; the number of symbols: none does.
  size_t Lowest() const {
    size_t best = symbols_.size();
    uint32_t lowest = MergeTable::kNone;
    for (size_t i = 0; i + 1 < symbols_.size(); ++i)
      if (const uint32_t rank = merges_.Find(symbols_[i], symbols_[i + 1]).rank; rank < lowest) {
        lowest = rank;
        best = i;
      }
    return best;
  }

  const JsonTokenizerModel& model_;
  MergeTable merges_;
  std::vector<int32_t> symbols_;
};

void RequireRow(int64_t id, std::string_view token, int64_t vocab_size, const std::string& where) {
  if (id >= vocab_size)
    Fail(where, "its token {} has id {}, but the model has a vocabulary of only {}", Shown(std::string(token)), id,
         vocab_size);
}

}  // namespace

void MergeTree::FixParts() {
  std::vector<int32_t> open;
  for (size_t id = 0; id < tokens.size(); ++id)
    if (tokens[id].fixed) open.push_back(static_cast<int32_t>(id));
  while (!open.empty()) {
    const Token token = tokens[static_cast<size_t>(open.back())];
    open.pop_back();
    if (!token.merged()) continue;
    for (const int32_t part : {token.left, token.right}) {
      Token& of = tokens[static_cast<size_t>(part)];
      if (!of.fixed) open.push_back(part);
      of.fixed = true;
    }
  }
}

MergeTree ReadMergeTree(const fs::path& directory, int64_t vocab_size) {
  const fs::path path = directory / "tokenizer.json";
  const std::string where = path.string();
  if (!fs::exists(path))
    Fail(directory.string(), "{}; a vocabulary is cut in a tokenizer.json with a BPE model, which transformers writes",
         fs::exists(directory / "tokenizer.model") ? "has a tokenizer.model (sentencepiece) alone"
                                                   : "holds no tokenizer.json");
  TokenizerConfig config = ReadTokenizerConfig(directory);
  JsonTokenizerFile file = ParseJsonTokenizer(ReadTextFile(path), where);
  const std::string type = JsonView(file.json, where).At("model").StringOr("type", "BPE");
  if (type != "BPE")
    Fail(where, "its model is {}, whose tokens are not made by merges; only the vocabulary of a BPE model can be cut",
         type);
  if (config.has_own_code)
    Fail(config.where, "auto_map names a tokenizer of the repository's own, whose code may hold ids; it cannot be cut");
  ApplyTokenizerConfig(where, &config, &file);
  const JsonTokenizerModel model(file, where);
  MergeTree tree;
  tree.merges = std::ssize(file.merges);
  tree.tokens.resize(static_cast<size_t>(vocab_size));
  Joiner joiner(model, ReadMerges(file, model, where));
  for (const auto& [text, id] : file.vocab) {
    RequireRow(id, text, vocab_size, where);
    Token& token = tree.tokens[static_cast<size_t>(id)];
    token.present = true;
    const std::optional<std::string> bytes = model.ModelBytes(text);
    if (bytes) joiner.Join(*bytes, id, &token);
    token.fixed = !bytes || id == model.bpe_options.unk || (model.bpe_options.byte_fallback && IsByteToken(text)) ||
                  (token.symbols == 1 && !HasOtherForm(*bytes, model));
  }
  for (const AddedToken& added : model.added_tokens) {
    RequireRow(added.id, added.content, vocab_size, where);
    Token& token = tree.tokens[static_cast<size_t>(added.id)];
    token.present = token.fixed = true;
  }
  for (const std::vector<int32_t>& ids : {model.before_text, model.after_text, NamedTokenIds(directory, vocab_size)})
    for (const int32_t id : ids) tree.tokens[static_cast<size_t>(id)].fixed = true;
  tree.FixParts();
  return tree;
}

}  // namespace ecld
