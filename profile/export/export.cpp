#include "profile/export/export.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/files.h"
#include "profile/export/export_parts.h"
#include "profile/query/sections.h"

namespace ecld {
namespace {

constexpr std::array kFormats = {
    ExportFormat{"aiconfigurator", "a system of NVIDIA AIConfigurator 0.12", ExportAiConfigurator},
    ExportFormat{"distserve", "coefficients of DistServe's simulator", ExportDistServe},
    ExportFormat{"llama-bench", "rows of llama.cpp's llama-bench (JSON lines)", ExportLlamaBench},
    ExportFormat{"splitwise-sim", "a performance table of splitwise-sim", ExportSplitwise},
    ExportFormat{"vidur", "mlp.csv and attention.csv of vidur", ExportVidur},
};

bool HasSizes(const Table& ops, size_t row, const OpSizes& sizes) {
  return std::all_of(sizes.begin(), sizes.end(),
                     [&](const auto& size) { return ops.Count(row, size.first) == size.second; });
}

const Table& RequireOps(const DeviceProfile& profile, std::string_view where) {
  if (!profile.tables.contains("ops")) Fail(where, "needs ops.csv, which this profile does not have");
  return profile.At("ops");
}

std::string Describe(std::string_view op, const OpSizes& sizes) {
  std::string text(op);
  for (const auto& [name, size] : sizes) text += fmt::format(" {}={}", name, size);
  return text;
}

}  // namespace

std::span<const ExportFormat> ExportFormats() { return kFormats; }

ExportedFiles ExportProfile(const DeviceProfile& profile, std::string_view format) {
  std::vector<std::string> known;
  for (const ExportFormat& candidate : kFormats) {
    if (candidate.name == format) return candidate.make(profile);
    known.emplace_back(candidate.name);
  }
  Fail("export of a profile", "no format is called \"{}\"{}; there are {}", format, DidYouMean(format, known),
       fmt::join(known, ", "));
}

void WriteExported(const std::filesystem::path& directory, const ExportedFiles& files) {
  std::error_code error;
  if (std::filesystem::exists(directory) &&
      !(std::filesystem::is_directory(directory) && std::filesystem::is_empty(directory, error)))
    Fail(directory.string(), "exists and is not empty. Choose another output");
  const std::filesystem::path staged = Sibling(directory, ".partial");
  std::filesystem::remove_all(staged, error);
  for (const auto& [name, content] : files) {
    const std::filesystem::path path = staged / name;
    if (!std::filesystem::create_directories(path.parent_path(), error) && error)
      Fail(path.parent_path().string(), "cannot be created: {}", error.message());
    WriteFileAtomically(path, content);
  }
  PublishDirectory(staged, directory);
}

void AddCsvLine(std::string& csv, const Json& cells) {
  bool first = true;
  for (const Json& cell : cells) {
    if (!std::exchange(first, false)) csv += ',';
    if (cell.is_null()) continue;
    if (!cell.is_string()) {
      csv += cell.dump();
      continue;
    }
    const auto& text = cell.get_ref<const std::string&>();
    if (text.find_first_of(",\"\r\n") == std::string::npos) {
      csv += text;
      continue;
    }
    csv += '"';
    for (char c : text) csv += c == '"' ? "\"\"" : std::string(1, c);
    csv += '"';
  }
  csv += '\n';
}

std::string CsvHeader(std::string_view columns) { return std::string(columns) + "\n"; }

UniformShape RequireUniformShape(const DeviceProfile& profile, std::string_view where) {
  const Variant::Architecture arch = VariantOf(profile).arch;
  const auto one = [&](const char* name, const std::vector<int64_t>& per_layer) {
    if (per_layer.empty()) Fail(where, "the model has no layers");
    for (int64_t value : per_layer)
      if (value != per_layer.front())
        Fail(where, "variant.arch.{} differs between the layers ({} and {}); this form has one for all of them", name,
             per_layer.front(), value);
    return per_layer.front();
  };
  return {arch.layers,
          arch.hidden,
          one("n_head", arch.heads),
          one("n_kv_head", arch.kv_heads),
          one("d_ff", arch.intermediate),
          arch.vocab};
}

OpTimes FastestOps(const DeviceProfile& profile, std::string_view op, const OpSizes& sizes, std::string_view where) {
  const Table& ops = RequireOps(profile, where);
  const bool attention = op.starts_with("attn_");
  OpTimes times;
  for (size_t row = 0; row < ops.rows().size(); ++row) {
    const auto at = ops.Count(row, attention ? "ctx_tok" : "m");
    const auto ms = ops.Number(row, "ms");
    if (ops.Text(row, "op") != op || !at || !ms || !HasSizes(ops, row, sizes)) continue;
    OpTime time{.ms = *ms,
                .min_ms = ops.Number(row, "ms_min"),
                .max_ms = ops.Number(row, "ms_max"),
                .std_ms = ops.Number(row, "ms_std"),
                .dtype = std::string(ops.Text(row, "dtype")),
                .kernel = std::string(ops.Text(row, "kernel"))};
    if (!times.empty() && times.begin()->second.dtype != time.dtype)
      Fail(where, "ops.csv has {} as {} and as {}; this form has one storage for all layers", Describe(op, sizes),
           times.begin()->second.dtype, time.dtype);
    const auto [it, added] = times.try_emplace(*at, time);
    if (!added && time.ms < it->second.ms) it->second = time;
  }
  if (times.empty()) Fail(where, "needs rows of ops.csv for {}, and there are none", Describe(op, sizes));
  return times;
}

OpTimes InSequence(const std::vector<OpTimes>& parts) {
  OpTimes sums;
  for (const auto& [m, unused] : parts.front()) {
    OpTime sum{.ms = 0, .min_ms = 0, .max_ms = 0, .std_ms = 0, .dtype = {}, .kernel = {}};
    bool whole = true;
    for (const OpTimes& part : parts) {
      const auto it = part.find(m);
      if (!(whole = it != part.end())) break;
      const OpTime& time = it->second;
      const auto add = [](std::optional<double>& to, const std::optional<double>& value) {
        to = to && value ? std::optional(*to + *value) : std::nullopt;
      };
      sum.ms += time.ms;
      add(sum.min_ms, time.min_ms);
      add(sum.max_ms, time.max_ms);
      sum.std_ms = sum.std_ms && time.std_ms ? std::optional(std::hypot(*sum.std_ms, *time.std_ms)) : std::nullopt;
      sum.dtype = time.dtype;
      if (sum.kernel.find(time.kernel) == std::string::npos)
        sum.kernel += (sum.kernel.empty() ? "" : "+") + time.kernel;
    }
    if (whole) sums.emplace(m, std::move(sum));
  }
  return sums;
}

int64_t HeadDim(const DeviceProfile& profile, std::string_view where) {
  const Table& ops = RequireOps(profile, where);
  for (size_t row = 0; row < ops.rows().size(); ++row)
    if (const auto dim = ops.Count(row, "head_dim"); dim && ops.Text(row, "op").starts_with("attn_")) return *dim;
  Fail(where, "needs rows of ops.csv for attention, which say the width of a head, and there are none");
}

double RequireNumber(const DeviceProfile& profile, const char* section, const char* key, std::string_view where) {
  const Json& number = (std::string_view(section) == "device" ? profile.device : profile.limits)[key];
  if (!number.is_number()) Fail(where, "needs {}.{}, which this profile does not know", section, key);
  return number.get<double>();
}

ProductTimes MeasuredBlockOps(const DeviceProfile& profile, const UniformShape& shape, std::string_view where) {
  const int64_t head_dim = HeadDim(profile, where), query = shape.heads * head_dim, key = shape.kv_heads * head_dim;
  const auto product = [&](int64_t n, int64_t k) { return FastestOps(profile, "gemm", {{"n", n}, {"k", k}}, where); };
  const OpTimes of_key = product(key, shape.hidden), of_gate = product(shape.intermediate, shape.hidden);
  return {.qkv = InSequence({product(query, shape.hidden), of_key, of_key}),
          .output = product(shape.hidden, query),
          .gate_up = InSequence({of_gate, of_gate}),
          .down = product(shape.hidden, shape.intermediate),
          .head_dim = head_dim};
}

}  // namespace ecld
