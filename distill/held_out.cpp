#include "distill/held_out.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <algorithm>
#include <memory>

#include "checkpoint/tokenizer/text_source.h"
#include "core/error.h"
#include "model/block_walker.h"

namespace ecld {

std::vector<HeldOutText> ReadHeldOut(const std::vector<std::string>& files, int64_t windows, int64_t window_tok,
                                     const Checkpoint& model) {
  const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::Open(model.directory());
  std::vector<HeldOutText> result;
  for (const std::string& file : files) {
    const TextSource source = ParseTextSource(file, /*one=*/true);
    const Texts texts = ReadTexts(source, model.directory(), *tokenizer);
    const std::vector<int32_t> ids = Encode(texts, *tokenizer, texts.kind == Texts::Kind::kDocuments, source.path);
    for (const int32_t id : ids)
      if (id < 0 || id >= model.config().vocab_size)
        Fail(source.path.string(), "is tokenized to id {}, but the model has a vocabulary of {}", id,
             model.config().vocab_size);
    if (std::ssize(ids) < windows * window_tok)
      Fail(source.path.string(), "has {} tokens; {} held-out windows of {} need {}", ids.size(), windows, window_tok,
           windows * window_tok);
    const std::string name = source.path.filename().string();
    if (std::ranges::find(result, name, &HeldOutText::name) != result.end())
      Fail(source.path.string(), "has the name of another held-out text, by which reports would know it");
    HeldOutText text{.name = name, .windows = {}};
    for (const int64_t start : EvenStarts(std::ssize(ids), windows, window_tok))
      text.windows.emplace_back(ids.begin() + start, ids.begin() + start + window_tok);
    result.push_back(std::move(text));
  }
  return result;
}

HeldOut::HeldOut(const std::vector<HeldOutText>& texts, const Teacher& teacher) : teacher_(teacher) {
  for (const auto& [name, windows] : texts) texts_.push_back({name, IdTensor(windows), teacher.States(windows)});
}

std::vector<std::string> HeldOut::Names() const {
  std::vector<std::string> names;
  for (const Text& text : texts_) names.push_back(text.name);
  return names;
}

std::vector<double> HeldOut::Losses(const LossOptions& options, const Student& student, ThreadPool& pool) const {
  at::NoGradGuard no_grad;
  BlockKernels kernels(student.config(), pool);
  const at::Tensor embedding = student.Stored(student.embedding());
  std::vector<at::Tensor> states;
  for (const Text& text : texts_) states.push_back(student.Embed(text.ids, embedding));
  for (int64_t layer = 0; layer < student.config().num_layers; ++layer) {
    const Block block = student.StoredBlock(layer);
    for (at::Tensor& some : states) AdvanceStates(kernels, block, some);
  }
  const at::Tensor norm = student.Stored(student.final_norm());
  const at::Tensor head = student.config().tie_embeddings ? embedding : student.Stored(student.head());
  std::vector<double> losses;
  for (size_t i = 0; i < texts_.size(); ++i) {
    const at::Tensor normed = kernels.Norm(states[i], norm, student.config().rms_norm_eps).flatten(0, 1);
    const double sum = VocabularyLoss(options, kernels, {normed, head}, {texts_[i].wanted, teacher_.head()},
                                      NextTokens(texts_[i].ids), nullptr);
    losses.push_back(sum / static_cast<double>(texts_[i].ids.numel()));
  }
  return losses;
}

}  // namespace ecld
