// random_checkpoint CONFIG.json OUT_DIR [SEED]: a checkpoint of exactly the shapes of a config, with seeded random
// weights of a plausible size (normal, standard deviation 0.02; norms are 1), random codes where the config has a
// matrix packed. Streams, so that it can write models larger than memory: for benchmarks and memory tests, where only
// the shapes matter.

#include <fmt/core.h>

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "core/error.h"
#include "core/random.h"
#include "tests/testing/packed_checkpoint.h"

namespace ecld {
namespace {

// Sum of four uniform 16-bit numbers: close enough to a normal, and one generator step per weight.
float RoughNormal(Random& random) {
  uint64_t bits = random.Next();
  int64_t sum = 0;
  for (int i = 0; i < 4; ++i) sum += static_cast<int64_t>(bits >> (16 * i) & 0xffff) - 32768;
  return static_cast<float>(sum) / 37837.0f;  // sqrt(4 / 12) * 65536
}

void WriteRandom(CheckpointWriter& writer, const TensorSpec& spec, Random& random) {
  const DType dtype = writer.config().dtype;
  constexpr int64_t kChunk = 1 << 20;
  std::vector<float> values(kChunk);
  std::vector<std::byte> bytes(kChunk * SizeOf(dtype));
  for (int64_t done = 0; done < spec.Elements(); done += kChunk) {
    auto count = static_cast<size_t>(std::min(kChunk, spec.Elements() - done));
    for (size_t i = 0; i < count; ++i) values[i] = spec.matrix() ? 0.02f * RoughNormal(random) : spec.bias ? 0.f : 1.f;
    FromFloat(dtype, values.data(), count, bytes.data());
    writer.WritePiece(spec.name, static_cast<uint64_t>(done) * SizeOf(dtype),
                      std::span(bytes).first(count * SizeOf(dtype)));
  }
}

void WriteCheckpoint(const std::filesystem::path& config_json, const std::filesystem::path& out, uint64_t seed) {
  ModelConfig config = ReadConfig(config_json);
  CheckpointWriter writer(out, config);
  Random random(seed);
  for (const auto& spec : writer.table())
    spec.format ? WriteRandomPacked(writer, spec, random) : WriteRandom(writer, spec, random);
  writer.Finish(config_json.parent_path());
}

}  // namespace
}  // namespace ecld

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: random_checkpoint CONFIG.json OUT_DIR [SEED]\n");
    return 2;
  }
  try {
    ecld::WriteCheckpoint(argv[1], argv[2], argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 0);
  } catch (const ecld::Error& error) {
    fmt::print(stderr, "random_checkpoint: error: {}\n", error.what());
    return 1;
  }
  return 0;
}
