#include "model/report_rows.h"

#include <algorithm>
#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "core/memory.h"

namespace ecld {

ReportRows::ReportRows(std::filesystem::path file) : file_(std::move(file)) {
  if (std::filesystem::exists(file_)) Read();
}

void ReportRows::Read() {
  const std::string text = ReadFile(file_);
  const size_t whole = text.rfind('\n') + 1;  // 0 when there is none
  double part_s = 0;
  for (size_t begin = 0, end; begin < whole; begin = end + 1) {
    end = text.find('\n', begin);
    const Json line = ParseJson(std::string_view(text).substr(begin, end - begin), file_.string());
    const JsonView view(line, file_.string());
    if (view.At("part").Int() >= part_) {
      earlier_s_ += part_s;
      part_ = view.At("part").Int() + 1;
    }
    part_s = view.At("part_s").Number();
    earlier_peak_B_ = std::max(earlier_peak_B_, static_cast<uint64_t>(view.At("peak_B").Int()));
    Set(view.At("name").String(), line["row"]);
  }
  earlier_s_ += part_s;
  std::filesystem::resize_file(file_, whole);
}

const Json* ReportRows::Find(const std::string& name) const {
  for (const auto& [known, row] : rows_)
    if (known == name) return &row;
  return nullptr;
}

void ReportRows::Set(const std::string& name, Json row) {
  for (auto& [known, old] : rows_) {
    if (known != name) continue;
    old = std::move(row);
    return;
  }
  rows_.emplace_back(name, std::move(row));
}

void ReportRows::Add(const std::string& name, Json row) {
  if (!file_.empty()) {
    const double part_s = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    const Json line = {
        {"part", part_}, {"part_s", part_s}, {"peak_B", PeakResidentBytes()}, {"name", name}, {"row", row}};
    std::ofstream stream(file_, std::ios::app | std::ios::binary);
    stream << line.dump() << '\n';
    if (!stream.flush()) Fail(file_.string(), "cannot write; is the disk full?");
  }
  Set(name, std::move(row));
}

Json ReportRows::All(std::string_view prefix) const {
  Json all = Json::array();
  for (const auto& [name, row] : rows_)
    if (name.starts_with(prefix)) all.push_back(row);
  return all;
}

Json ReportRows::Degraded() const {
  Json degraded = Json::array();
  for (const auto& [name, row] : rows_)
    if (row.contains("degraded")) degraded.push_back({{"name", name}, {"what", row["degraded"]}});
  return degraded;
}

}  // namespace ecld
