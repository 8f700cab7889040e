#include "eval/tasks/task_runner.h"

#include <algorithm>
#include <set>

#include "checkpoint/generation_config.h"
#include "core/error.h"
#include "measure/measure.h"
#include "measure/requests.h"

namespace ecld {
namespace {

constexpr size_t kItemsAtOnce = 64;   // between two writes of the log
constexpr size_t kItemsCounted = 64;  // of a task, for its cost

// Names the item in what goes wrong with it.
template <class Body>
auto OfItem(const Task& task, const Prompt& prompt, const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    throw Error(fmt::format("{}: item {}", task.name, prompt.item), error.what());
  }
}

}  // namespace

TaskRunner::TaskRunner(const Checkpoint& checkpoint, const RuntimeOptions& options, ThreadPool& pool)
    : model_(checkpoint, options),
      session_(model_, pool),
      tokenizer_(Tokenizer::Open(checkpoint.directory())),
      end_ids_(EndIds(checkpoint.directory(), checkpoint.config(), tokenizer_->eos())),
      encoder_(*tokenizer_, checkpoint.config().max_position),
      scorer_(session_) {}

std::vector<const Prompt*> TaskRunner::Left(std::span<const Prompt> prompts, const SampleLog& log) {
  std::set<size_t> done;
  for (const Sample& sample : log.samples()) done.insert(sample.item);
  std::vector<const Prompt*> left;
  for (const Prompt& prompt : prompts)
    if (!done.contains(prompt.item)) left.push_back(&prompt);
  return left;
}

TaskCost TaskRunner::CostOf(const Task& task, std::span<const Prompt> prompts, const SampleLog& log) const {
  const std::vector<const Prompt*> left = Left(prompts, log);
  TaskCost cost{.items = static_cast<int64_t>(left.size())};
  const size_t step = std::max<size_t>(1, left.size() / kItemsCounted);
  double counted = 0;
  std::vector<int32_t> before;
  for (size_t i = 0; i < left.size(); i += step) {
    counted += 1;
    for (EncodedText& text : Encode(task, *left[i])) {
      const auto differs = std::ranges::mismatch(before, text.tokens).in2;
      cost.read_tok += static_cast<double>(text.tokens.end() - differs);
      before = std::move(text.tokens);
    }
  }
  for (const Prompt* prompt : left) cost.texts += static_cast<int64_t>(prompt->requests.size());
  const auto items = static_cast<double>(left.size());
  if (counted > 0) cost.read_tok *= items / counted;
  if (task.kind == TaskKind::kGenerate) {
    cost.texts *= 1 + task.more_texts;
    cost.read_tok *= static_cast<double>(1 + task.more_texts);
    cost.write_tok = items * static_cast<double>((1 + task.more_texts) * task.max_tokens);
  }
  return cost;
}

TaskRate TaskRunner::MeasureRate(const TaskCost& cost) {
  constexpr int64_t kTokens = 128, kSequences = 8, kSteps = 4;
  const int64_t tokens = std::min(kTokens, model_.config().max_position - kSteps);
  TaskRate rate;
  const MeasureOptions few{.warmup = 1, .min_reps = 2, .max_reps = 2};
  Requests prompt(session_, 1, tokens, 1);
  rate.read = 1000 * static_cast<double>(tokens) /
              Measure([&] { prompt.Prefill(tokens); }, few, [&] { prompt.Rewind(0); }).median_ms;
  if (cost.write_tok == 0) return rate;
  Requests steps(session_, kSequences, kSteps + 1, 1);
  steps.Prefill(1);
  const Timing step = Measure(
      [&] {
        for (int64_t i = 0; i < kSteps; ++i) steps.Step();
      },
      few, [&] { steps.Rewind(1); });
  rate.write = 1000 * static_cast<double>(kSteps * kSequences) / step.median_ms;
  return rate;
}

void TaskRunner::Run(const Task& task, std::span<const Prompt> prompts, SampleLog* log) {
  const std::vector<const Prompt*> left = Left(prompts, *log);
  Progress progress(task.name, static_cast<int64_t>(prompts.size()), "items",
                    static_cast<int64_t>(prompts.size() - left.size()));
  if (task.more_texts > 0) return GenerateSeveral(task, left, log, &progress);
  if (task.kind == TaskKind::kGenerate) return Generate(task, left, log, &progress);
  for (size_t begin = 0; begin < left.size(); begin += kItemsAtOnce) {
    const auto some = std::span(left).subspan(begin, std::min(kItemsAtOnce, left.size() - begin));
    log->Add(ScoreTexts(task, some));
    progress.Advance(static_cast<int64_t>(some.size()));
  }
}

std::vector<EncodedText> TaskRunner::Encode(const Task& task, const Prompt& prompt) const {
  return OfItem(task, prompt, [&] {
    std::vector<EncodedText> texts;
    for (const auto& [context, continuation] : prompt.requests) {
      if (task.kind == TaskKind::kRolling)
        texts = encoder_.Rolling(continuation);
      else if (task.kind == TaskKind::kGenerate)
        texts.push_back(encoder_.Prompt(context, task.max_tokens));
      else
        texts.push_back(encoder_.Pair(context, continuation));
    }
    return texts;
  });
}

std::vector<Sample> TaskRunner::ScoreTexts(const Task& task, std::span<const Prompt* const> prompts) {
  std::vector<std::vector<EncodedText>> texts;
  std::vector<ScoreWindow> windows;
  for (const Prompt* prompt : prompts) texts.push_back(Encode(task, *prompt));
  for (const auto& of_item : texts)
    for (const EncodedText& text : of_item) windows.push_back({text.tokens, text.first_scored});
  const std::vector<std::vector<TokenScore>> scores = scorer_.Score(windows);

  std::vector<Sample> samples;
  size_t begin = 0;
  for (size_t i = 0; i < prompts.size(); ++i) {
    const auto own = std::span(scores).subspan(begin, texts[i].size());
    begin += texts[i].size();
    samples.push_back(OfItem(task, *prompts[i], [&] {
      if (task.kind == TaskKind::kChoice) return ScoreChoices(task, *prompts[i], own);
      if (task.kind == TaskKind::kRolling) return ScoreRolling(*prompts[i], own);
      return ScoreContinuation(*prompts[i], own[0]);
    }));
    samples.back().truncated = std::ranges::any_of(texts[i], &EncodedText::truncated);
  }
  return samples;
}

void TaskRunner::Generate(const Task& task, std::span<const Prompt* const> prompts, SampleLog* log,
                          Progress* progress) {
  std::vector<EncodedText> encoded;
  for (const Prompt* prompt : prompts) encoded.push_back(Encode(task, *prompt)[0]);
  GenerateTexts(session_, *tokenizer_, encoded, TextOptions(task), [&](size_t i, const GeneratedText& text) {
    Sample sample = ScoreGenerated(task, *prompts[i], text.text, text.tokens);
    sample.truncated = encoded[i].truncated;
    log->Add(std::span(&sample, 1));
    progress->Advance();
  });
}

// A greedy text per prompt, and others drawn beside it.
void TaskRunner::GenerateSeveral(const Task& task, std::span<const Prompt* const> prompts, SampleLog* log,
                                 Progress* progress) {
  constexpr size_t kPromptsAtOnce = 16;
  const auto more = static_cast<size_t>(task.more_texts);
  for (size_t begin = 0; begin < prompts.size(); begin += kPromptsAtOnce) {
    const auto some = prompts.subspan(begin, std::min(kPromptsAtOnce, prompts.size() - begin));
    std::vector<EncodedText> encoded, repeated;
    GenerateTextsOptions drawn = TextOptions(task);
    drawn.sampler.temperature = 1;
    for (const Prompt* prompt : some) {
      encoded.push_back(Encode(task, *prompt)[0]);
      for (size_t k = 0; k < more; ++k) {
        repeated.push_back(encoded.back());
        drawn.seeds.push_back(prompt->item * more + k);  // the same whatever was done before
      }
    }
    std::vector<GeneratedText> greedy(some.size());
    std::vector<std::vector<std::string>> others(some.size(), std::vector<std::string>(more));
    GenerateTexts(session_, *tokenizer_, encoded, TextOptions(task),
                  [&](size_t i, const GeneratedText& text) { greedy[i] = text; });
    GenerateTexts(session_, *tokenizer_, repeated, drawn,
                  [&](size_t i, const GeneratedText& text) { others[i / more][i % more] = text.text; });
    std::vector<Sample> samples;
    for (size_t i = 0; i < some.size(); ++i) {
      samples.push_back(ScoreGenerated(task, *some[i], greedy[i].text, greedy[i].tokens, std::move(others[i])));
      samples.back().truncated = encoded[i].truncated;
    }
    log->Add(samples);
    progress->Advance(static_cast<int64_t>(some.size()));
  }
}

GenerateTextsOptions TaskRunner::TextOptions(const Task& task) const {
  return {.until = task.until, .stop_ids = end_ids_, .max_tokens = task.max_tokens};
}

}  // namespace ecld
