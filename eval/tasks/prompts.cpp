#include "eval/tasks/prompts.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include "core/error.h"
#include "core/hash.h"
#include "eval/tasks/python_random.h"

namespace ecld {
namespace {

// A document, or one of the items it is expanded to.
struct Item {
  size_t document = 0;
  Json fields;
  std::string where;
};

std::vector<Item> Items(const Task& task, const Documents& read) {
  std::vector<Item> items;
  for (size_t i = 0; i < read.documents.size(); ++i) {
    Json fields = read.documents[i].fields;
    fields.update(task.variables);
    if (!task.expand) {
      items.push_back({i, std::move(fields), read.Where(i)});
      continue;
    }
    const Json parts = task.expand->RenderJson(fields, task.functions);
    if (!parts.is_array()) Fail(task.where + ": expand", "gives {}, expected a list of objects", parts.type_name());
    for (const Json& part : parts) {
      if (!part.is_object()) Fail(task.where + ": expand", "holds {}, expected objects", part.type_name());
      Json merged = fields;
      merged.update(part);
      items.push_back({i, std::move(merged), read.Where(i)});
    }
  }
  return items;
}

class Builder {
 public:
  Builder(const Task& task, std::vector<Item> shots, int64_t count, uint32_t seed)
      : task_(task), shots_(std::move(shots)), count_(static_cast<size_t>(count)), random_(seed) {}

  // To be called for every item in order: the sampler's generator runs on.
  Prompt Build(const Item& item, size_t index) {
    Prompt prompt{.document = item.document, .item = index};
    try {
      Fill(item, &prompt);
    } catch (const Error& error) {
      throw Error(item.where, error.what());
    }
    return prompt;
  }

 private:
  void Fill(const Item& item, Prompt* prompt) {
    if (task_.kind == TaskKind::kRolling) return FillRolling(item, prompt);
    const std::string before = Text(task_.description, item) + Examples(item);
    if (task_.kind == TaskKind::kChoice) return FillChoices(item, before, prompt);
    prompt->target = Text(task_.target, item);
    const bool generates = task_.kind == TaskKind::kGenerate;
    prompt->requests = {{before + Text(task_.text, item), generates ? "" : prompt->target}};
  }

  void FillRolling(const Item& item, Prompt* prompt) {
    prompt->requests = {{"", Text(task_.target, item)}};
    if (prompt->requests[0].second.empty()) Fail("", "the text to score is empty");
    if (!task_.raw) return;
    const std::string raw = Text(task_.raw, item);
    // As len(re.split(r"\s+", raw)) counts: empty pieces at the ends are words.
    prompt->words = static_cast<int64_t>(spaces_.FindAll(raw).size()) + 1;
    prompt->bytes = static_cast<int64_t>(raw.size());
  }

  void FillChoices(const Item& item, const std::string& before, Prompt* prompt) {
    prompt->choices = Choices(item);
    prompt->gold = Index(*task_.gold, item, prompt->choices.size());
    if (task_.labels) {
      const Json labels = task_.labels->RenderJson(item.fields, task_.functions);
      const JsonView view(labels, "labels");
      for (size_t i = 0; i < view.Size(); ++i) prompt->labels.push_back(view.At(i).Int());
    }
    if (task_.labels && prompt->labels.size() != prompt->choices.size())
      Fail("", "{} choices and {} labels", prompt->choices.size(), prompt->labels.size());
    if (task_.cue) prompt->cue = JsonView(task_.cue->RenderJson(item.fields, task_.functions), "cue").Number();
    for (const std::string& choice : prompt->choices) {
      if (task_.contexts.empty())
        prompt->requests.emplace_back(before + Text(task_.text, item), task_.delimiter + choice);
      else
        prompt->requests.emplace_back(before + choice, task_.delimiter + Text(task_.target, item));
    }
  }

  std::vector<std::string> Choices(const Item& item) const {
    std::vector<std::string> choices;
    if (task_.choice_list) {
      const Json list = task_.choice_list->RenderJson(item.fields, task_.functions);
      if (!list.is_array()) Fail("", "choice_list gives {}, expected a list of texts", list.type_name());
      for (const Json& choice : list) {
        if (!choice.is_string()) Fail("", "choice_list holds {}, expected texts", choice.dump());
        choices.push_back(choice.get<std::string>());
      }
    }
    for (const auto* templates : {&task_.choices, &task_.contexts})
      for (const TextTemplate& choice : *templates) choices.push_back(choice.Render(item.fields, task_.functions));
    if (choices.size() < 2) Fail("", "has {} choices, at least two are needed", choices.size());
    for (size_t i = 0; i < choices.size(); ++i)
      if (choices[i].empty()) Fail("", "choice {} is empty", i);
    return choices;
  }

  int64_t Index(const TextTemplate& of, const Item& item, size_t choices) const {
    const std::string text = of.Render(item.fields, task_.functions);
    int64_t index = -1;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), index);
    if (error != std::errc() || end != text.data() + text.size() || index < 0 || index >= static_cast<int64_t>(choices))
      Fail("", "the right answer is \"{}\", expected 0 .. {}: the index of one of its choices", text, choices - 1);
    return index;
  }

  std::string Text(const std::optional<TextTemplate>& of, const Item& item) const {
    return of ? of->Render(item.fields, task_.functions) : "";
  }

  std::string Examples(const Item& item) {
    std::string text;
    for (size_t index : Draw(item)) {
      const Item& shot = shots_[index];
      std::string question, answer;
      if (task_.kind == TaskKind::kChoice) {
        const std::vector<std::string> choices = Choices(shot);
        const auto gold = static_cast<size_t>(Index(*task_.gold, shot, choices.size()));
        question = task_.contexts.empty() ? Text(task_.text, shot) : choices[gold];
        answer = task_.contexts.empty() ? choices[gold] : Text(task_.target, shot);
      } else {
        question = Text(task_.text, shot);
        answer = Text(task_.target, shot);
      }
      text += question + task_.delimiter + answer + task_.shot_delimiter;
    }
    return text;
  }

  std::vector<size_t> Draw(const Item& item) {
    std::vector<size_t> drawn;
    if (count_ == 0) return drawn;
    if (task_.first_shots) {
      for (size_t i = 0; i < shots_.size() && drawn.size() < count_; ++i)
        if (!IsItem(i, item)) drawn.push_back(i);
      return drawn;
    }
    for (size_t index : random_.Sample(shots_.size(), count_ + (task_.spare_shot ? 1 : 0)))
      if (!IsItem(index, item) && drawn.size() < count_) drawn.push_back(index);
    if (drawn.size() == count_) return drawn;
    // The item was there more than once.
    std::vector<size_t> others;
    for (size_t i = 0; i < shots_.size(); ++i)
      if (!IsItem(i, item)) others.push_back(i);
    if (others.size() < count_) Fail("", "only {} examples are not this item itself", others.size());
    drawn.clear();
    for (size_t index : random_.Sample(others.size(), count_)) drawn.push_back(others[index]);
    return drawn;
  }

  bool IsItem(size_t shot, const Item& item) const { return task_.spare_shot && shots_[shot].fields == item.fields; }

  const Task& task_;
  std::vector<Item> shots_;
  size_t count_;
  PythonRandom random_;
  Regex spaces_{"\\s+", "words"};
};

}  // namespace

Prompts BuildPrompts(const Task& task, const DataFolder& folder, const PromptOptions& options) {
  Prompts result{.shots = task.shots};
  if (options.shots >= 0 && options.shots != task.shots) {
    if (task.shots_fixed) Fail(task.name, "its prompt holds its own examples; leave --shots out");
    result.shots = options.shots;
  }
  const Documents read = ReadDocuments(folder, task.data);
  const std::vector<Item> items = Items(task, read);
  result.file = read.file.string();
  result.data_sha256 = read.sha256;
  result.documents = static_cast<int64_t>(read.documents.size());

  std::vector<Item> shots;
  if (result.shots > 0) {
    const Documents from = task.shot_data ? ReadDocuments(folder, *task.shot_data) : read;
    shots = Items(task, from);
    result.shot_file = from.file.string();
    result.shot_sha256 = from.sha256;
    const int64_t own = task.spare_shot ? 1 : 0;
    if (static_cast<int64_t>(shots.size()) < result.shots + own)
      Fail(result.shot_file, "has {} examples, but a prompt of {} wants {}", shots.size(), task.name,
           result.shots + own);
  }
  Builder builder(task, std::move(shots), result.shots, options.seed);
  const size_t count = options.limit > 0 ? std::min(items.size(), static_cast<size_t>(options.limit)) : items.size();
  for (size_t i = 0; i < count; ++i) result.prompts.push_back(builder.Build(items[i], i));
  if (result.prompts.empty()) Fail(task.where, "the task has no item");
  return result;
}

}  // namespace ecld
