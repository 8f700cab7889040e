#pragma once
// One checkpoint, in the format that another program loads: compressed-tensors (ECLD's own, a verified copy), GPTQ
// (version 1, as AutoGPTQ writes it), GGUF (llama.cpp). Lossless: every weight that a reader of the export computes
// equals ours bit for bit. What a format cannot hold exactly is refused before anything is written, by the name of the
// tensor.

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace ecld {

enum class ExportTarget { kCompressedTensors, kGptq, kGguf };

struct ExportPlan {
  struct Row {
    std::string from, to;  // formats: "W4 g32 sym", "Q4_0"
    int64_t tensors = 0;
    uint64_t bytes = 0;
  };
  std::vector<Row> rows;
  uint64_t output_B = 0;     // of the files with weights
  uint64_t free_disk_B = 0;  // where the output will be
  std::vector<std::string> notes;
};

struct ExportRequest {
  std::filesystem::path checkpoint;
  ExportTarget target = ExportTarget::kCompressedTensors;
  std::filesystem::path out;  // a directory; for GGUF a file
  bool overwrite = false;     // replace an earlier export or checkpoint
};

// THROWS Error: what the target cannot hold, with the tensor's name; an output that exists; too little disk.
ExportPlan PlanExport(const ExportRequest& request);

// The same, then writes beside the output ("<out>.partial"), reads that back and compares, and publishes by a rename.
// THROWS Error also for an output that another run works on, and when the written bytes are not the checkpoint's.
ExportPlan Export(const ExportRequest& request);

}  // namespace ecld
