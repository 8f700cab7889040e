#pragma once
// The part of `eval` that asks a checkpoint the questions of tasks.

#include <string>

#include "eval/tasks/evaluate_tasks.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace ecld {

struct TaskFlags {
  TaskEvalOptions eval;  // model, reference, threads and runtime are those of the verb
};

// tasks: the option without which these are refused.
void AddTaskFlags(CLI::App& verb, CLI::Option* tasks, TaskFlags* flags);
void RunTaskEval(const TaskFlags& flags, const std::string& json);

}  // namespace ecld
