#include "eval/scored_items.h"

#include <algorithm>

#include "core/error.h"
#include "eval/tasks/metrics.h"
#include "eval/tasks/sample_log.h"

namespace ecld {

ScoredItems ReadScoredItems(const JsonView& task, bool hallucination, const std::filesystem::path& folder,
                            const std::string& weights_sha256) {
  ScoredItems found{
      .task = task.At("task").String(), .judged = task.Has("uncertainty"), .hallucination = hallucination};
  const std::filesystem::path path = folder / (found.task + ".jsonl");
  const LoggedSamples log = ReadSampleLog(path);
  const JsonView heading(log.heading, path.string() + ":1");
  RequireKind(heading, kSamplesDocument);
  const auto same = [&](const char* key, const std::string& expected) {
    if (heading.At(key).String() != expected)
      Fail(heading.At(key).Where(), "is {}, the result was made with {}", heading.At(key).String(), expected);
  };
  same("weights_sha256", weights_sha256);
  same("task_sha256", task.At("task_sha256").String());
  same("data_sha256", task.At("data").At("sha256").String());
  const std::string metric = found.judged ? task.At("uncertainty").At("right_by").String() : "";
  const auto has_answer = [](const Sample& sample) { return sample.uncertainty.has_value(); };
  if (!found.judged && std::ranges::none_of(log.samples, has_answer)) return found;
  const int64_t wanted = task.At("items").Int();
  for (const Sample& sample : log.samples) {
    if (static_cast<int64_t>(sample.item) >= wanted) continue;
    if (!sample.uncertainty || (found.judged && !sample.values.contains(metric)))
      Fail(path.string(), "item {} has no uncertainty{}", sample.item, found.judged ? " or no " + metric : "");
    found.generated |= sample.log_p.empty();
    found.items.push_back({.item = sample.item,
                           .correct = found.judged && IsRight(sample, metric),
                           .gen_tok = sample.log_p.empty()
                                          ? sample.text_tok
                                          : sample.tok[static_cast<size_t>(std::max<int64_t>(0, sample.answer))],
                           .uncertainty = *sample.uncertainty});
  }
  if (static_cast<int64_t>(found.items.size()) != wanted)
    Fail(path.string(), "has {} of the {} items of the result", found.items.size(), wanted);
  return found;
}

std::string ItemId(const std::string& task, size_t item) { return fmt::format("{}/{}", PlainCell(task), item); }

std::string PlainCell(std::string text) {
  for (char& c : text)
    if (c == ',' || c == '"') c = ':';
  return text;
}

}  // namespace ecld
