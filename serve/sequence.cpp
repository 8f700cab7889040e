#include "serve/sequence.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "runtime/score.h"

namespace ecld {

int64_t SequenceRequest::Positions() const {
  return static_cast<int64_t>(prompt.size()) + std::max<int64_t>(max_tokens - 1, 0);
}

Sequence::Sequence(SequenceRequest request, const RuntimeModel& model, const Tokenizer& tokenizer,
                   std::span<const int64_t> stop_ids)
    : request_(std::move(request)),
      stop_ids_(stop_ids),
      cache_(model),
      sampler_(request_.sampler),
      stream_(tokenizer, request_.start),
      stops_(request_.stop) {
  sampler_.See(request_.prompt);
}

void Sequence::MakeRoom(int64_t tokens) {
  const int64_t needed = cache_.length() + tokens;
  if (needed <= room_) return;
  room_ = std::min(request_.Positions(), std::max(needed, room_ + room_ / 2));
  cache_.Reserve(room_);
}

std::span<const int32_t> Sequence::NextTokens(int64_t limit) const {
  if (!prefilling()) return {&last_token_, 1};
  const std::span<const int32_t> rest = std::span(request_.prompt).subspan(static_cast<size_t>(cache_.length()));
  return rest.first(std::min(rest.size(), static_cast<size_t>(limit)));
}

TokenReport Sequence::Report(int32_t token, std::span<const float> logits) {
  const double normalizer = LogSumExp(logits);
  const auto logprob = [&](int32_t id) { return static_cast<double>(logits[static_cast<size_t>(id)]) - normalizer; };
  TokenReport report{.id = token, .logprob = logprob(token)};
  const auto count = std::min(static_cast<size_t>(*request_.top_logprobs), logits.size());
  if (count == 0) return report;
  order_.resize(logits.size());
  std::iota(order_.begin(), order_.end(), 0);
  std::partial_sort(order_.begin(), order_.begin() + static_cast<std::ptrdiff_t>(count), order_.end(),
                    [&](int32_t a, int32_t b) {
                      const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
                      return x != y ? x > y : a < b;
                    });
  for (size_t i = 0; i < count; ++i) report.top.push_back({order_[i], logprob(order_[i])});
  return report;
}

void Sequence::ScorePrompt(int64_t position, std::span<const float> logits) {
  prompt_reports_.push_back(Report(request_.prompt[static_cast<size_t>(position)], logits));
}

SequenceUpdate Sequence::NewUpdate() {
  SequenceUpdate update{.prompt_tok = PromptLength(), .answer_tok = answer_tok_};
  if (request_.score_prompt && answer_tok_ == 0) {
    update.prompt_reports.push_back({.id = request_.prompt.front()});
    std::ranges::move(std::exchange(prompt_reports_, {}), std::back_inserter(update.prompt_reports));
  }
  return update;
}

SequenceUpdate Sequence::Advance(std::span<const float> logits) {
  SequenceUpdate update = NewUpdate();
  update.finish = request_.max_tokens == 0 ? Finish::kLength : Choose(logits, &update.text);
  if (update.finish) {
    update.text += stops_.Add(stream_.Finish());
    update.text += stops_.Finish();
  }
  update.answer_tok = answer_tok_;
  released_B_ += update.text.size();
  ReleaseReports(&update);
  return update;
}

// One more token. Appends the text that is certain now; returns why the sequence ends, if it does.
std::optional<Finish> Sequence::Choose(std::span<const float> logits, std::string* text) {
  last_token_ = sampler_.Next(logits);
  if (Ends(last_token_)) {
    if (request_.top_logprobs && request_.report_end) pending_.push_back({decoded_B_, Report(last_token_, logits)});
    return Finish::kStop;
  }
  ++answer_tok_;
  if (request_.top_logprobs) pending_.push_back({decoded_B_, Report(last_token_, logits)});
  const std::string decoded = stream_.Add(last_token_);
  decoded_B_ += decoded.size();
  *text += stops_.Add(decoded);
  if (stops_.found()) return Finish::kStop;
  if (answer_tok_ == request_.max_tokens) return Finish::kLength;
  return std::nullopt;
}

bool Sequence::Ends(int32_t token) const {
  const auto in = [&](const auto& ids) { return std::ranges::find(ids, token) != ids.end(); };
  return (!request_.ignore_eos && in(stop_ids_)) || in(request_.stop_ids);
}

void Sequence::ReleaseReports(SequenceUpdate* update) {
  const bool all = update->finish && !stops_.found();
  while (!pending_.empty() && (all || pending_.front().begin_B < released_B_)) {
    update->reports.push_back(std::move(pending_.front().report));
    pending_.pop_front();
  }
}

SequenceUpdate Sequence::End(Finish finish, std::string error) {
  SequenceUpdate update = NewUpdate();
  update.finish = finish;
  update.error = std::move(error);
  return update;
}

}  // namespace ecld
