#include "eval/tasks/generate_texts.h"

#include <algorithm>

#include "core/json.h"

namespace ecld {
namespace {

// One text under way.
struct Slot {
  size_t prompt;
  KvCache cache;
  Sampler sampler;
  std::vector<int32_t> next;  // what runs in the next step
  std::string seen;           // with special tokens, in which stop strings are looked for
  std::vector<int32_t> ids;
  GeneratedText text;
};

// Broken characters become U+FFFD, as in transformers: a text may end within one.
std::string Repaired(const std::string& text) {
  return Json::parse(Json(text).dump(-1, ' ', false, Json::error_handler_t::replace)).get<std::string>();
}

std::string CutAt(std::string text, const std::vector<std::string>& stops) {
  for (const std::string& stop : stops)
    if (!stop.empty()) text.resize(std::min(text.find(stop), text.size()));
  return text;
}

class Generator {
 public:
  Generator(Session& session, const Tokenizer& tokenizer, const GenerateTextsOptions& options)
      : session_(session), tokenizer_(tokenizer), options_(options) {}

  void Add(size_t prompt, const std::vector<int32_t>& tokens) {
    SamplerOptions sampler = options_.sampler;
    if (!options_.seeds.empty()) sampler.seed = options_.seeds[prompt];
    slots_.push_back({prompt, KvCache(session_.model()), Sampler(sampler), tokens, "", {}, {}});
  }

  size_t under_way() const { return slots_.size(); }

  // One more token for every text; those which ended are given to done and leave.
  template <class Done>
  void Step(const Done& done) {
    Run();
    const auto vocab = static_cast<size_t>(session_.model().config().vocab_size);
    for (size_t i = 0; i < slots_.size(); ++i)
      if (!Take(std::span<const float>(logits_).subspan(i * vocab, vocab), &slots_[i])) {
        slots_[i].text.text = CutAt(Repaired(tokenizer_.Decode(slots_[i].ids, true)), options_.until);
        done(slots_[i].prompt, slots_[i].text);
        slots_[i].next.clear();
      }
    std::erase_if(slots_, [](const Slot& slot) { return slot.next.empty(); });
  }

 private:
  // The logits after what each text appends. Long prompts first go through in parts.
  void Run() {
    std::vector<Piece> pieces;
    for (Slot& slot : slots_) {
      std::span<const int32_t> tokens = slot.next;
      const int64_t text_tok = slot.cache.length() + std::ssize(tokens);
      for (; static_cast<int64_t>(tokens.size()) > kChunkRows; tokens = tokens.subspan(kChunkRows))
        session_.Forward({{&slot.cache, tokens.first(kChunkRows), text_tok}});
      pieces.push_back({&slot.cache, tokens});
    }
    const std::span<const float> hidden = session_.Forward(pieces);
    const auto width = static_cast<size_t>(session_.model().config().hidden_size);
    std::vector<float> last;
    size_t row = 0;
    for (const Piece& piece : pieces) {
      row += piece.tokens.size();
      const auto state = hidden.subspan((row - 1) * width, width);
      last.insert(last.end(), state.begin(), state.end());
    }
    logits_.resize(slots_.size() * static_cast<size_t>(session_.model().config().vocab_size));
    session_.Logits(last, logits_);
  }

  // Chooses the next token of one text. Returns whether the text goes on.
  bool Take(std::span<const float> logits, Slot* slot) const {
    const int32_t token = slot->sampler.Next(logits);
    slot->text.tokens.push_back(ScoreToken(logits, token));
    if (std::ranges::find(options_.stop_ids, token) != options_.stop_ids.end()) return false;
    if (token < tokenizer_.vocab_size()) slot->ids.push_back(token);  // models pad their vocabulary
    slot->seen += tokenizer_.Bytes(token, false);
    for (const std::string& stop : options_.until)
      if (!stop.empty() && slot->seen.find(stop) != std::string::npos) return false;
    slot->next = {token};
    return static_cast<int64_t>(slot->text.tokens.size()) < options_.max_tokens;
  }

  Session& session_;
  const Tokenizer& tokenizer_;
  const GenerateTextsOptions& options_;
  std::vector<Slot> slots_;
  std::vector<float> logits_;  // [texts under way, vocab_size]
};

}  // namespace

void GenerateTexts(Session& session, const Tokenizer& tokenizer, std::span<const EncodedText> prompts,
                   const GenerateTextsOptions& options,
                   const std::function<void(size_t prompt, const GeneratedText& text)>& done) {
  Generator generator(session, tokenizer, options);
  for (size_t next = 0; next < prompts.size() || generator.under_way() > 0;) {
    while (next < prompts.size() && generator.under_way() < static_cast<size_t>(options.at_once)) {
      generator.Add(next, prompts[next].tokens);
      ++next;
    }
    generator.Step(done);
  }
}

}  // namespace ecld
