#include "offload/plan/task_file.h"

#include <algorithm>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/json_lines.h"

namespace ecld::offload {
namespace {

constexpr double kCharactersPerTok = 4;
constexpr int kMostParts = 64;

double TokensOf(std::string_view text) { return std::max(1.0, static_cast<double>(text.size()) / kCharactersPerTok); }

bool IsNumber(char c) { return (c >= '0' && c <= '9') || c == '.'; }

// The numbers that stand in a calculation.
std::vector<std::string_view> NumbersIn(std::string_view text) {
  std::vector<std::string_view> numbers;
  for (size_t i = 0; i < text.size();) {
    if (!IsNumber(text[i])) {
      ++i;
      continue;
    }
    const size_t begin = i;
    while (i < text.size() && IsNumber(text[i])) ++i;
    numbers.push_back(text.substr(begin, i - begin));
  }
  return numbers;
}

struct Calculations {
  std::vector<std::string_view> uses, results;
  int operations = 0;
};

// Of all <<left=right>> in an answer.
Calculations CalculationsIn(std::string_view answer) {
  Calculations found;
  for (size_t at = answer.find("<<"); at != std::string_view::npos; at = answer.find("<<", at + 2)) {
    const size_t end = answer.find(">>", at);
    if (end == std::string_view::npos) break;
    const std::string_view inside = answer.substr(at + 2, end - at - 2);
    const size_t equals = inside.rfind('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view left = inside.substr(0, equals), right = inside.substr(equals + 1);
    for (const std::string_view number : NumbersIn(left)) found.uses.push_back(number);
    for (const std::string_view number : NumbersIn(right)) found.results.push_back(number);
    for (size_t i = 1; i < left.size(); ++i) found.operations += std::string_view("+-*/").find(left[i]) != left.npos;
  }
  return found;
}

}  // namespace

DecomposedTask ParseTask(std::string_view line, const std::string& where) {
  const Json json = ParseJson(line, where);
  const JsonView view(json, where);
  DecomposedTask task{.question_tok = TokensOf(view.At("question").String())};
  const std::string answer = view.At("answer").String();
  std::vector<Calculations> calculations;
  for (const std::string_view row : Lines(answer)) {
    if (row.starts_with("####")) break;
    const size_t mark = row.find(" ** ");
    if (mark == std::string_view::npos)
      Fail(where, "answer: expected \"sub-question ** answer\", found \"{}\"; this is not the socratic form",
           Shown(Json(std::string(row.substr(0, 40)))));
    calculations.push_back(CalculationsIn(row.substr(mark + 4)));
    const Calculations& own = calculations.back();
    TaskPart part{.question_tok = TokensOf(row.substr(0, mark)),
                  .answer_tok = TokensOf(row.substr(mark + 4)),
                  .difficulty = std::clamp(own.operations, 1, kDifficulties) - 1};
    for (size_t before = 0; before + 1 < calculations.size(); ++before)
      if (std::ranges::any_of(calculations[before].results,
                              [&](const auto& result) { return std::ranges::count(own.uses, result) > 0; }))
        part.needs.push_back(static_cast<int>(before));
    task.parts.push_back(std::move(part));
  }
  if (task.parts.empty()) Fail(where, "answer: has no line \"sub-question ** answer\"");
  if (task.parts.size() > kMostParts) Fail(where, "answer: has {} parts, at most {}", task.parts.size(), kMostParts);
  return task;
}

std::vector<DecomposedTask> ReadTasks(const std::string& file) {
  const std::string text = ReadTextFile(file);
  std::vector<DecomposedTask> tasks;
  int64_t number = 0;
  for (const std::string_view line : Lines(text)) {
    ++number;
    if (!line.empty()) tasks.push_back(ParseTask(line, fmt::format("{}:{}", file, number)));
  }
  if (tasks.empty()) Fail(file, "has no tasks");
  return tasks;
}

}  // namespace ecld::offload
