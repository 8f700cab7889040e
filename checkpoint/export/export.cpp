#include "checkpoint/export/export.h"

#include <algorithm>
#include <cstring>

#include "checkpoint/checkpoint_writer.h"
#include "checkpoint/export/format_export.h"
#include "checkpoint/layer_sizes.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

std::unique_ptr<FormatExport> Make(const Checkpoint& in, ExportTarget target) {
  if (target != ExportTarget::kGguf && LayersDiffer(in.config()))
    Fail(in.directory().string(),
         "its layers differ in size, which no other program loads; prune with ratios: uniform");
  if (!in.config().quantization && target != ExportTarget::kGguf)
    Fail(in.directory().string(),
         "holds no packed weights; other programs load it as it is. Quantize it first, or export to gguf");
  switch (target) {
    case ExportTarget::kCompressedTensors:
      return MakeCompressedTensorsExport(in);
    case ExportTarget::kGptq:
      return MakeGptqExport(in);
    case ExportTarget::kGguf:
      break;
  }
  return MakeGgufExport(in);
}

// What is replaced must be ours to replace.
void CheckOutput(const ExportRequest& request) {
  RequireSeparate(request.checkpoint, request.out);
  std::error_code error;
  if (!fs::exists(request.out, error)) return;
  if (!request.overwrite) Fail(request.out.string(), "exists; choose another output, or --overwrite to replace it");
  if (request.target != ExportTarget::kGguf) return RequireReplaceableDirectory(request.out);
  if (!fs::is_regular_file(request.out, error))
    Fail(request.out.string(), "is not a file; it would be replaced by one. Choose another output");
}

ExportPlan PlanOf(const FormatExport& format, const ExportRequest& request) {
  ExportPlan plan;
  plan.output_B = format.FileBytes();
  plan.free_disk_B = FreeDiskBytes(request.out);
  plan.notes = format.Notes();
  for (const ExportedTensor& tensor : format.Tensors()) {
    auto row = std::find_if(plan.rows.begin(), plan.rows.end(),
                            [&](const auto& known) { return known.from == tensor.from && known.to == tensor.to; });
    if (row == plan.rows.end()) row = plan.rows.insert(row, {tensor.from, tensor.to});
    ++row->tensors;
    row->bytes += tensor.bytes;
  }
  if (plan.output_B > plan.free_disk_B)
    Fail(request.out.string(), "disk full: the export needs {}, {} are free", FormatBytes(plan.output_B),
         FormatBytes(plan.free_disk_B));
  return plan;
}

}  // namespace

std::string StoredFormatName(const Checkpoint& in, const TensorSpec& spec) {
  return spec.format ? spec.format->Name() : std::string(Name(in.Stored(spec.name).dtype));
}

void RequireEqualRow(const std::string& where, const std::string& name, int64_t row, const std::vector<float>& expected,
                     const std::vector<float>& found) {
  if (std::memcmp(expected.data(), found.data(), expected.size() * sizeof(float)) == 0) return;
  size_t i = 0;
  while (std::bit_cast<uint32_t>(expected[i]) == std::bit_cast<uint32_t>(found[i])) ++i;
  Fail(where, "was written wrongly: {} reads back as {}, not {}, at [{}, {}]", name, found[i], expected[i], row, i);
}

ExportPlan PlanExport(const ExportRequest& request) {
  CheckOutput(request);
  const Checkpoint in = Checkpoint::Open(request.checkpoint);
  return PlanOf(*Make(in, request.target), request);
}

ExportPlan Export(const ExportRequest& request) {
  CheckOutput(request);
  DirectoryLock lock(request.out);
  const Checkpoint in = Checkpoint::Open(request.checkpoint);
  const auto format = Make(in, request.target);
  ExportPlan plan = PlanOf(*format, request);
  const fs::path staged = Sibling(request.out, ".partial");
  std::error_code error;
  fs::remove_all(staged, error);  // an export is short: a killed one begins anew
  if (format->IsDirectory()) fs::create_directories(staged, error);
  try {
    format->Write(staged);
    format->Verify(staged);
  } catch (...) {
    fs::remove_all(staged, error);
    throw;
  }
  PublishDirectory(staged, request.out);
  return plan;
}

}  // namespace ecld
