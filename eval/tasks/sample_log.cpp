#include "eval/tasks/sample_log.h"

#include <algorithm>

#include "core/error.h"
#include "core/files.h"

namespace ecld {

LoggedSamples ReadSampleLog(const std::filesystem::path& path) {
  const std::string text = ReadFile(path);
  LoggedSamples log;
  for (int64_t line_number = 1;; ++line_number) {
    const size_t end = text.find('\n', log.whole_B);
    if (end == std::string::npos) return log;
    const std::string where = fmt::format("{}:{}", path.string(), line_number);
    Json line = ParseJson(text.substr(log.whole_B, end - log.whole_B), where);
    if (line_number == 1)
      log.heading = std::move(line);
    else
      log.samples.push_back(ParseSample(JsonView(line, where)));
    log.whole_B = end + 1;
  }
}

SampleLog::SampleLog(const std::filesystem::path& path, const Json& heading) : path_(path), heading_(heading.dump()) {
  if (path_.empty()) return;
  if (path_.has_parent_path()) std::filesystem::create_directories(path_.parent_path());
  size_t whole = 0;
  if (std::filesystem::exists(path_)) whole = Resume();
  if (whole == 0)
    WriteFileAtomically(path_, heading_ + "\n");
  else
    std::filesystem::resize_file(path_, whole);
  file_.open(path_, std::ios::binary | std::ios::app);
}

size_t SampleLog::Resume() {
  LoggedSamples log = ReadSampleLog(path_);
  if (log.whole_B > 0 && log.heading.dump() != heading_)
    Fail(path_.string() + ":1",
         "holds the samples of another run (model, task, data or options differ); name another folder, or remove it");
  samples_ = std::move(log.samples);
  return log.whole_B;
}

void SampleLog::Add(std::span<const Sample> samples) {
  samples_.insert(samples_.end(), samples.begin(), samples.end());
  if (path_.empty()) return;
  for (const Sample& sample : samples) file_ << Line(sample);
  file_.flush();
  if (!file_) Fail(path_.string(), "cannot be written (is the disk full?)");
}

void SampleLog::Finish() {
  const bool in_order = std::ranges::is_sorted(samples_, {}, &Sample::item);
  std::ranges::sort(samples_, {}, &Sample::item);
  if (path_.empty() || in_order) return;
  file_.close();
  std::string text = heading_ + "\n";
  for (const Sample& sample : samples_) text += Line(sample);
  WriteFileAtomically(path_, text);
}

}  // namespace ecld
