#include "offload/stations.h"

#include <cmath>
#include <functional>

namespace ecld::offload {

void DeviceStation::Submit(const Job& job, bool first, Nanoseconds now) {
  if (first) {
    queue_.push_front(job);
  } else {
    queue_.push_back(job);
  }
  waiting_s_ += job.expected_s;
  if (!runs_) Resume(now);
}

void DeviceStation::Resume(Nanoseconds now) {
  if (runs_ || queue_.empty()) return;
  Pass(now, false);
  running_ = queue_.front();
  queue_.pop_front();
  runs_ = true;
  waiting_s_ = queue_.empty() ? 0 : waiting_s_ - running_.expected_s;
  const double load_s = LoadSeconds(resident_, running_.variant);
  next_ = now + FromSeconds(load_s + running_.run_s);
  expected_end_ = now + FromSeconds(load_s + running_.expected_s);
  resident_ = running_.variant;
}

RequestId DeviceStation::Proceed(Nanoseconds now) {
  Pass(now, true);
  runs_ = false;
  next_ = kLongestNs;
  return running_.request;
}

double DeviceStation::WaitSeconds(int variant, Nanoseconds now) const {
  const int before = queue_.empty() ? resident_ : queue_.back().variant;
  const double running_s = runs_ ? Seconds(std::max<Nanoseconds>(0, expected_end_ - now)) : 0;
  return running_s + std::max(0.0, waiting_s_) + LoadSeconds(before, variant);
}

void BandStation::Submit(RequestId request, size_t device, size_t server, double bits, Nanoseconds now) {
  Send(now);
  uploads_.push_back({request, device, server, BitsOnAir(network_->At(device, server, now), bits), 0});
  Plan(now);
}

void BandStation::Proceed(Nanoseconds now, std::vector<RequestId>* sent) {
  Send(now);
  // What a nanosecond sends is within the rounding of the clock.
  std::erase_if(uploads_, [&](const Upload& upload) {
    const bool through = upload.left_bits <= upload.bps / kNsPerSecond;
    if (through) sent->push_back(upload.request);
    return through;
  });
  Plan(now);
}

void BandStation::Send(Nanoseconds now) {
  const double passed_s = Seconds(now - last_);
  for (Upload& upload : uploads_) upload.left_bits -= upload.bps * passed_s;
  Pass(now, !uploads_.empty());
}

void BandStation::Plan(Nanoseconds now) {
  next_ = uploads_.empty() ? kLongestNs : network_->NextChange(now);
  for (Upload& upload : uploads_) {
    upload.bps = ShareOf(network_->At(upload.device, upload.server, now), static_cast<double>(uploads_.size()));
    if (upload.bps <= 0) continue;  // until its link changes
    next_ = std::min(next_, now + FromSeconds(std::max(0.0, upload.left_bits) / upload.bps));
  }
}

double BatchStation::CacheBytes(const Job& job) const {
  return times_->model().kv_B_per_tok * static_cast<double>(job.prompt_tok + job.answer_tok);
}

bool BatchStation::Admits() const {
  return !queue_.empty() && static_cast<int64_t>(running_.size()) < batch_ &&
         used_B_ + CacheBytes(queue_.front()) <= cache_B_;
}

void BatchStation::Submit(const Job& job, Nanoseconds now) {
  Pass(now, next_ != kLongestNs);
  queue_.push_back(job);
  waiting_prompts_s_ += times_->PromptSeconds(job.prompt_tok);
  if (next_ == kLongestNs) return Plan(now);
  if (prompting_ || !Admits()) return;
  // It joins when the step that is under way ends.
  const int64_t steps = step_ns_ > 0 ? (now - planned_at_ + step_ns_ - 1) / step_ns_ : planned_steps_;
  planned_steps_ = std::min(planned_steps_, steps);
  next_ = planned_at_ + planned_steps_ * step_ns_;
}

void BatchStation::Join() {
  const Job job = queue_.front();
  queue_.pop_front();
  waiting_prompts_s_ = queue_.empty() ? 0 : waiting_prompts_s_ - times_->PromptSeconds(job.prompt_tok);
  running_.push_back({step_ + job.answer_tok, job.request, job.prompt_tok - step_, CacheBytes(job)});
  std::ranges::push_heap(running_, std::greater<>());
  ctx_less_step_ += job.prompt_tok - step_;
}

void BatchStation::Proceed(Nanoseconds now, std::vector<RequestId>* answered) {
  Pass(now, true);
  if (prompting_) {
    Join();
  } else {
    step_ += planned_steps_;
  }
  while (!running_.empty() && running_.front().last_step <= step_) {
    std::ranges::pop_heap(running_, std::greater<>());
    const Running& done = running_.back();
    answered->push_back(done.request);
    ctx_less_step_ -= done.ctx_less_step;
    used_B_ -= done.cache_B;
    running_.pop_back();
  }
  if (running_.empty()) used_B_ = 0;  // whatever rounding has left
  Plan(now);
}

void BatchStation::Plan(Nanoseconds now) {
  planned_at_ = now;
  prompting_ = Admits();
  if (prompting_) {
    used_B_ += CacheBytes(queue_.front());
    next_ = now + FromSeconds(times_->PromptSeconds(queue_.front().prompt_tok));
  } else if (!running_.empty()) {
    const auto members = static_cast<int64_t>(running_.size());
    planned_steps_ = running_.front().last_step - step_;
    const int64_t ctx_tok = ctx_less_step_ / members + step_ + planned_steps_ / 2;
    step_ns_ = FromSeconds(times_->StepSeconds(std::max<int64_t>(1, ctx_tok), members));
    next_ = now + planned_steps_ * step_ns_;
  } else {
    next_ = kLongestNs;
  }
}

}  // namespace ecld::offload
