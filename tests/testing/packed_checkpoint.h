#pragma once
// Checkpoints whose matrices hold random codes, tiny ones with embedding and head included.

#include <cstring>
#include <filesystem>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "core/random.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {

// Random codes, scales that make weights of about 0.1 whatever the bits, and, where the format is asymmetric, random
// zero points.
inline void WriteRandomPacked(CheckpointWriter& writer, const TensorSpec& spec, Random& random) {
  for (const StoredTensor& part : StoredForm(spec, writer.config())) {
    std::vector<std::byte> bytes(part.Bytes());
    if (part.name.ends_with(".weight_shape")) {
      std::memcpy(bytes.data(), spec.shape.data(), bytes.size());
    } else if (part.name.ends_with(".weight_scale")) {
      std::vector<float> scales(bytes.size() / SizeOf(part.dtype));
      for (float& scale : scales)
        scale = static_cast<float>((0.3 + 0.1 * random.Uniform()) / (spec.format->MaxCode() + 1));
      FromFloat(part.dtype, scales.data(), scales.size(), bytes.data());
    } else {
      for (std::byte& byte : bytes) byte = static_cast<std::byte>(random.Next());
    }
    writer.Write(part.name, bytes);
  }
}

// Writes directory and returns its config. quantization: which matrices are packed, and how.
inline ModelConfig WritePackedCheckpoint(const std::filesystem::path& directory, const QuantizationConfig& quantization,
                                         const TinyOptions& options, uint64_t seed = 3) {
  TempDir source_dir;
  ModelConfig config = WriteTinyCheckpoint(source_dir.path(), options);
  const Checkpoint source = Checkpoint::Open(source_dir.path());
  config.quantization = quantization;
  CheckpointWriter writer(directory, config);
  Random random(seed);
  for (const TensorSpec& spec : writer.table()) {
    if (spec.format)
      WriteRandomPacked(writer, spec, random);
    else
      writer.WriteFloats(spec, source.ReadFloats(Find(source.table(), spec.role, spec.layer, spec.bias)));
  }
  writer.Finish(source_dir.path());
  return config;
}

// All of them in one format, embedding and head included.
inline ModelConfig WritePackedCheckpoint(const std::filesystem::path& directory, const PackedFormat& format,
                                         const TinyOptions& options, uint64_t seed = 3) {
  return WritePackedCheckpoint(
      directory,
      QuantizationConfig{.groups = {{.name = "group_0", .targets = {"Linear", "Embedding"}, .format = format}},
                         .ignore = {}},
      options, seed);
}

}  // namespace ecld
