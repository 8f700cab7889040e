#include "eval/tasks/catalogue.h"

#include <algorithm>
#include <map>

#include "core/error.h"
#include "core/files.h"
#include "core/options.h"
#include "core/yaml_reader.h"

namespace ecld {
namespace {

void AddTasks(const std::string& name, std::vector<Task>* tasks);

void AddFile(std::string_view yaml, const std::string& where, std::vector<Task>* tasks) {
  Options options(ReadYaml(yaml, where), where, "");
  if (!options.Has("includes")) {
    for (Task& task : ReadTasks(yaml, where)) tasks->push_back(std::move(task));
    return;
  }
  for (const std::string& name : options.Strings("includes", {})) {
    if (ShippedTaskFiles().end() == std::ranges::find(ShippedTaskFiles(), name, &ShippedTaskFile::name))
      Fail(options.Where("includes"), "\"{}\" is no task that ships", name);
    AddTasks(name, tasks);
  }
  options.Finish();
}

void AddTasks(const std::string& name, std::vector<Task>* tasks) {
  if (name.ends_with(".yaml")) return AddFile(ReadTextFile(name), name, tasks);
  const auto shipped = ShippedTaskFiles();
  const auto found = std::ranges::find(shipped, name, &ShippedTaskFile::name);
  if (found == shipped.end()) {
    std::vector<std::string> known;
    for (const ShippedTaskFile& file : shipped) known.emplace_back(file.name);
    Fail("--tasks", "no task is named \"{}\"{}; a file of your own ends in .yaml", name, DidYouMean(name, known));
  }
  AddFile(found->yaml, std::string(found->name) + ".yaml", tasks);
}

}  // namespace

std::vector<Task> FindTasks(const std::vector<std::string>& names) {
  std::vector<Task> tasks;
  for (const std::string& name : names) AddTasks(name, &tasks);
  std::map<std::string, std::string> places;
  for (const Task& task : tasks)
    if (const auto [place, is_new] = places.emplace(task.name, task.where); !is_new)
      Fail("--tasks", "two tasks are named \"{}\": in {} and in {}", task.name, place->second, task.where);
  return tasks;
}

}  // namespace ecld
