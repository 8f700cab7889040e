#include "eval/tasks/task_cost.h"

#include <fmt/format.h>

#include "core/progress.h"

namespace ecld {
namespace {

std::string Rounded(double tokens) {
  return tokens < 10'000 ? fmt::format("{:.0f}", tokens) : fmt::format("{:.0f} k", tokens / 1000);
}

}  // namespace

double Seconds(const TaskCost& cost, const TaskRate& rate) {
  return cost.read_tok / rate.read + (cost.write_tok > 0 ? cost.write_tok / rate.write : 0);
}

std::string Describe(const TaskCost& cost, const TaskRate& rate) {
  std::string text =
      fmt::format("{} items, {} texts: about {} tokens to read", cost.items, cost.texts, Rounded(cost.read_tok));
  if (cost.write_tok > 0) text += fmt::format(", at most {} to write", Rounded(cost.write_tok));
  return text +
         fmt::format("; {} {}", cost.write_tok > 0 ? "at most about" : "about", FormatDuration(Seconds(cost, rate)));
}

}  // namespace ecld
