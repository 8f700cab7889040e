#include "eval/tasks/sample.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "jinja/text.h"

namespace ecld {
namespace {

Sample Begin(const Prompt& prompt) { return {.item = prompt.item, .document = prompt.document}; }

void AddRequest(std::span<const TokenScore> tokens, Sample* sample) {
  double sum = 0;
  bool greedy = true;
  for (const TokenScore& token : tokens) {
    sum += token.log_p;
    greedy = greedy && token.greedy;
  }
  // A NaN would compare as it likes: it must not become an answer.
  if (!std::isfinite(sum)) Fail(fmt::format("item {}", sample->item), "its log-likelihood is {}", sum);
  sample->log_p.push_back(sum);
  sample->tok.push_back(static_cast<int64_t>(tokens.size()));
  sample->greedy.push_back(greedy);
}

std::optional<AnswerUncertainty> Uncertainty(std::span<const TokenScore> tokens) {
  if (tokens.empty()) return std::nullopt;
  std::vector<double> of_tokens;
  for (const TokenScore& token : tokens) of_tokens.push_back(1 - token.margin);
  return Aggregate(of_tokens);
}

int64_t Characters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<unsigned char>(c) & 0xc0u) != 0x80u; });
}

template <class Length>
int64_t Best(const Sample& sample, const Length& length) {
  size_t best = 0;
  const auto value = [&](size_t i) { return sample.log_p[i] / static_cast<double>(length(i)); };
  for (size_t i = 1; i < sample.log_p.size(); ++i)
    if (value(i) > value(best)) best = i;
  return static_cast<int64_t>(best);
}

// Probabilities of the choices, but for a factor.
std::vector<double> Likelihoods(const Sample& sample) {
  const double largest = *std::ranges::max_element(sample.log_p);
  std::vector<double> likelihoods = sample.log_p;
  for (double& value : likelihoods) value = std::exp(value - largest);
  return likelihoods;
}

double Sum(std::span<const double> values) { return std::accumulate(values.begin(), values.end(), 0.0); }

// Share of the probability of all choices that the true ones have.
double TrueShare(const Sample& sample, std::span<const int64_t> labels) {
  const std::vector<double> likelihoods = Likelihoods(sample);
  double is_true = 0;
  for (size_t i = 0; i < labels.size(); ++i)
    if (labels[i] == 1) is_true += likelihoods[i];
  return is_true / Sum(likelihoods);
}

// How far the shares of all choices are from what is so, squared (Brier 1950): 0 is sure and right, 2 sure and wrong.
double BrierScore(const Sample& sample) {
  const std::vector<double> likelihoods = Likelihoods(sample);
  const double all = Sum(likelihoods);
  double score = 0;
  for (size_t i = 0; i < likelihoods.size(); ++i) {
    const double off = likelihoods[i] / all - (static_cast<int64_t>(i) == sample.gold ? 1 : 0);
    score += off * off;
  }
  return score;
}

std::string Compared(const Task& task, std::string text) {
  for (const Regex& regex : task.ignored) text = regex.Replace(text, "");
  return task.ignore_case ? jinja::Lower(text) : text;
}

}  // namespace

Sample ScoreChoices(const Task& task, const Prompt& prompt, std::span<const std::vector<TokenScore>> scores) {
  Sample sample = Begin(prompt);
  for (const auto& tokens : scores) AddRequest(tokens, &sample);
  sample.gold = prompt.gold;
  sample.answer = Best(sample, [](size_t) { return 1; });
  sample.uncertainty = Uncertainty(scores[static_cast<size_t>(sample.answer)]);
  const auto right = [&](int64_t answer) { return answer == prompt.gold ? 1.0 : 0.0; };
  for (const std::string& metric : task.metrics) {
    double& value = sample.values[metric];
    if (metric == "acc") value = right(sample.answer);
    if (metric == "acc_norm") value = right(Best(sample, [&](size_t i) { return Characters(prompt.choices[i]); }));
    if (metric == "acc_bytes") value = right(Best(sample, [&](size_t i) { return prompt.choices[i].size(); }));
    if (metric == "acc_tok") value = right(Best(sample, [&](size_t i) { return sample.tok[i]; }));
    if (metric == "brier_score") value = BrierScore(sample);
    if (metric == "mc2") value = TrueShare(sample, prompt.labels);
    if (metric == "balanced_error") {
      value = 1 - right(sample.answer);
      sample.values["score"] = sample.log_p[1] - sample.log_p[0];
      sample.values["cue"] = prompt.cue;
    }
  }
  return sample;
}

Sample ScoreContinuation(const Prompt& prompt, std::span<const TokenScore> scores) {
  Sample sample = Begin(prompt);
  AddRequest(scores, &sample);
  sample.uncertainty = Uncertainty(scores);
  sample.values["acc"] = sample.greedy[0] ? 1 : 0;
  sample.values["perplexity"] = sample.log_p[0];
  return sample;
}

Sample ScoreRolling(const Prompt& prompt, std::span<const std::vector<TokenScore>> windows) {
  Sample sample = Begin(prompt);
  std::vector<TokenScore> all;
  for (const auto& window : windows) all.insert(all.end(), window.begin(), window.end());
  AddRequest(all, &sample);
  sample.values["words"] = static_cast<double>(prompt.words);
  sample.values["bytes"] = static_cast<double>(prompt.bytes);
  return sample;
}

std::string Extracted(const AnswerFilter& filter, const std::string& text) {
  if (!filter.regex) return text;
  const std::vector<std::string> found = filter.regex->FindAll(text);
  const std::string taken = found.empty() ? "" : filter.last ? found.back() : found.front();
  if (taken.empty()) return "[invalid]";
  return jinja::Strip(taken, nullptr, true, true);
}

std::optional<double> Inconsistency(const std::string& text, std::span<const std::string> others) {
  const Regex word("[\\p{L}\\p{M}\\p{N}]+", "words");
  const std::vector<std::string> own = word.FindAll(jinja::Lower(text));
  if (own.empty()) return std::nullopt;
  std::map<std::string, int64_t> counts;
  int64_t all = 0;
  const auto count = [&](const std::vector<std::string>& words) {
    for (const std::string& each : words) ++counts[each];
    all += static_cast<int64_t>(words.size());
  };
  count(own);
  for (const std::string& other : others) count(word.FindAll(jinja::Lower(other)));
  double sum = 0;
  for (const std::string& each : own) sum -= std::log(static_cast<double>(counts[each]) / static_cast<double>(all));
  return sum / static_cast<double>(own.size());
}

Sample ScoreGenerated(const Task& task, const Prompt& prompt, const std::string& text,
                      std::span<const TokenScore> tokens, std::vector<std::string> others) {
  Sample sample = Begin(prompt);
  sample.text = text;
  sample.others = std::move(others);
  sample.text_tok = static_cast<int64_t>(tokens.size());
  sample.uncertainty = Uncertainty(tokens);
  for (const std::string& metric : task.metrics) {
    if (metric == "exact_match")
      for (const AnswerFilter& filter : task.filters)
        sample.values[metric + "," + filter.name] =
            Compared(task, Extracted(filter, text)) == Compared(task, prompt.target) ? 1 : 0;
    if (metric == "abstain_rate")
      sample.values[metric] =
          std::ranges::any_of(task.abstentions, [&](const Regex& regex) { return regex.Matches(text); }) ? 1 : 0;
    if (metric == "inconsistency") {
      if (const auto value = Inconsistency(text, sample.others)) sample.values[metric] = *value;
    }
    if (metric == "answer_words") sample.values[metric] = static_cast<double>(jinja::SplitAtSpace(text, -1).size());
  }
  return sample;
}

Json ToJson(const Sample& sample) {
  Json json = {{"item", sample.item}, {"document", sample.document}};
  if (!sample.log_p.empty()) {
    json["log_p"] = sample.log_p;
    json["tok"] = sample.tok;
    json["greedy"] = sample.greedy;
  }
  if (sample.gold >= 0) json.update({{"gold", sample.gold}, {"answer", sample.answer}});
  if (sample.log_p.empty()) json.update({{"text", sample.text}, {"text_tok", sample.text_tok}});
  if (!sample.others.empty()) json["others"] = sample.others;
  if (sample.truncated) json["truncated"] = true;
  json["values"] = Json::object();
  for (const auto& [name, value] : sample.values) json["values"][name] = value;
  if (sample.uncertainty) json["uncertainty"] = ToJson(*sample.uncertainty);
  return json;
}

Sample ParseSample(const JsonView& line) {
  Sample sample{.item = static_cast<size_t>(line.At("item").Int()),
                .document = static_cast<size_t>(line.At("document").Int()),
                .gold = line.IntOr("gold", -1),
                .answer = line.IntOr("answer", -1),
                .text = line.StringOr("text", ""),
                .text_tok = line.IntOr("text_tok", 0),
                .truncated = line.BoolOr("truncated", false)};
  for (size_t i = 0; line.Has("log_p") && i < line.At("log_p").Size(); ++i) {
    sample.log_p.push_back(line.At("log_p").At(i).Number());
    sample.tok.push_back(line.At("tok").At(i).Int());
    sample.greedy.push_back(line.At("greedy").At(i).Bool());
  }
  for (size_t i = 0; line.Has("others") && i < line.At("others").Size(); ++i)
    sample.others.push_back(line.At("others").At(i).String());
  const JsonView values = line.At("values");
  for (const std::string& name : values.Keys()) sample.values[name] = values.At(name).Number();
  if (line.Has("uncertainty")) sample.uncertainty = ParseAnswerUncertainty(line.At("uncertainty"));
  return sample;
}

}  // namespace ecld
