#pragma once
// Tasks that fall into parts, from the "socratic" file of GSM8K (Cobbe et al. 2021): a line of JSON for each question,
// whose answer has a line "sub-question ** answer" for each part. A part needs those before it whose results occur in
// its calculation (<<16-3-4=9>>). Its difficulty is the number of operations in it: 1, 2, or 3 and more.

#include <string>
#include <string_view>
#include <vector>

namespace ecld::offload {

inline constexpr int kDifficulties = 3;

struct TaskPart {
  double question_tok = 1, answer_tok = 1;  // a quarter of the characters: counted, not tokenized
  int difficulty = 0;                       // 0 .. kDifficulties - 1
  std::vector<int> needs;
};

struct DecomposedTask {
  double question_tok = 1;
  std::vector<TaskPart> parts;  // at least one
};

// One line. THROWS Error: where, and what is missing.
DecomposedTask ParseTask(std::string_view line, const std::string& where);
// A file. THROWS Error.
std::vector<DecomposedTask> ReadTasks(const std::string& file);

}  // namespace ecld::offload
