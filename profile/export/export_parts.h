#pragma once
// What the exporters share: rows of CSV, the shape of a model whose layers are all alike, and the fastest kernel of
// each operation. where: the name of the form, for the errors.

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "profile/export/export.h"

namespace ecld {

// Cells of a line: null is empty; a text is quoted where CSV needs it (RFC 4180).
void AddCsvLine(std::string& csv, const Json& cells);
std::string CsvHeader(std::string_view columns);  // the same line, ended

// THROWS Error where heads or widths differ between the layers: these forms have one number for all.
struct UniformShape {
  int64_t layers, hidden, heads, kv_heads, intermediate, vocab;
};
UniformShape RequireUniformShape(const DeviceProfile& profile, std::string_view where);

struct OpTime {
  double ms = 0;
  std::optional<double> min_ms, max_ms, std_ms;
  std::string dtype, kernel;
};
using OpTimes = std::map<int64_t, OpTime>;  // by m; for attention by ctx_tok

using OpSizes = std::vector<std::pair<std::string_view, int64_t>>;

// Of each m the fastest of the kernels measured with these sizes: the one that a tuned runtime takes.
// THROWS Error where ops.csv has none, or has them with more than one storage of the weights.
OpTimes FastestOps(const DeviceProfile& profile, std::string_view op, const OpSizes& sizes, std::string_view where);

// One after the other: times add up, deviations as of independent ones. For each m that all have.
OpTimes InSequence(const std::vector<OpTimes>& parts);

int64_t HeadDim(const DeviceProfile& profile, std::string_view where);  // as attention was measured with
double RequireNumber(const DeviceProfile& profile, const char* section, const char* key, std::string_view where);

// Products of a block that other runtimes have as one.
struct ProductTimes {
  OpTimes qkv, output, gate_up, down;
  int64_t head_dim;
};
ProductTimes MeasuredBlockOps(const DeviceProfile& profile, const UniformShape& shape, std::string_view where);

ExportedFiles ExportAiConfigurator(const DeviceProfile& profile);
ExportedFiles ExportDistServe(const DeviceProfile& profile);
ExportedFiles ExportLlamaBench(const DeviceProfile& profile);
ExportedFiles ExportSplitwise(const DeviceProfile& profile);
ExportedFiles ExportVidur(const DeviceProfile& profile);

}  // namespace ecld
