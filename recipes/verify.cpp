#include "recipes/verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/error.h"
#include "core/mapped_file.h"
#include "core/progress.h"
#include "core/threads.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

class Verifier {
 public:
  explicit Verifier(const Checkpoint& checkpoint) : checkpoint_(checkpoint) {}

  void CheckFloats(const std::string& name, bool scales) {
    const TensorView& tensor = checkpoint_.Tensor(name);
    const size_t width = SizeOf(tensor.dtype);
    pool_.ParallelFor(tensor.Elements(), 1 << 16, [&](int64_t begin, int64_t end) {
      std::vector<float> values(std::min<size_t>(end - begin, 1 << 18));
      for (int64_t first = begin; first < end; first += static_cast<int64_t>(values.size())) {
        size_t count = std::min<size_t>(values.size(), end - first);
        ToFloat(tensor.dtype, tensor.bytes.data() + first * width, count, values.data());
        // Another program may have taken a negative one to use all codes of a symmetric grid.
        const bool positive = scales && !checkpoint_.translation();
        for (size_t i = 0; i < count; ++i)
          if (!std::isfinite(values[i]) || (positive && values[i] < 0))
            Fail(checkpoint_.directory().string(), "tensor \"{}\" holds {} at element {}{}", name, values[i],
                 first + static_cast<int64_t>(i), positive ? "; scales are finite and not negative" : "");
        MappedFile::DropPages(tensor.bytes.subspan(first * width, count * width));
      }
    });
  }

  // codes: [rows, words], each row a stream of `used_bits` bits from the low end of its first word.
  void CheckUnusedBits(const std::string& name, int64_t used_bits) {
    const int used_of_last = static_cast<int>(used_bits % 32);
    if (used_of_last == 0) return;
    const TensorView& tensor = checkpoint_.Tensor(name);
    for (int64_t row = 0; row < tensor.shape[0]; ++row) {
      uint32_t last;
      std::memcpy(&last, tensor.bytes.data() + ((row + 1) * tensor.shape[1] - 1) * sizeof(last), sizeof(last));
      if (last >> used_of_last != 0)
        Fail(checkpoint_.directory().string(), "tensor \"{}\" has bits set behind the end of row {}", name, row);
    }
  }

  // zero_points: [words, groups], packed down the columns.
  void CheckUnusedZeroBits(const std::string& name, int64_t used_bits) {
    const int used_of_last = static_cast<int>(used_bits % 32);
    if (used_of_last == 0) return;
    const TensorView& tensor = checkpoint_.Tensor(name);
    for (int64_t group = 0; group < tensor.shape[1]; ++group) {
      uint32_t last;
      std::memcpy(&last, tensor.bytes.data() + ((tensor.shape[0] - 1) * tensor.shape[1] + group) * sizeof(last),
                  sizeof(last));
      if (last >> used_of_last != 0)
        Fail(checkpoint_.directory().string(), "tensor \"{}\" has bits set behind the end of column {}", name, group);
    }
  }

  void CheckParameter(const TensorSpec& spec) {
    if (!spec.format) return CheckFloats(spec.name, false);
    CheckFloats(spec.module + ".weight_scale", true);
    CheckUnusedBits(spec.module + ".weight_packed", spec.shape[1] * spec.format->bits);
    if (!spec.format->symmetric)
      CheckUnusedZeroBits(spec.module + ".weight_zero_point", spec.shape[0] * spec.format->bits);
  }

 private:
  const Checkpoint& checkpoint_;
  ThreadPool pool_;
};

}  // namespace

Verified VerifyValues(const Checkpoint& checkpoint) {
  Verifier verifier(checkpoint);
  Progress progress("verify", static_cast<int64_t>(checkpoint.table().size()), "tensors");
  int64_t layer = -1;
  for (const TensorSpec& spec : checkpoint.table()) {
    if (spec.layer != layer) checkpoint.DropPages(layer);
    layer = spec.layer;
    verifier.CheckParameter(spec);
    progress.Advance();
  }
  checkpoint.DropPages(layer);
  return {static_cast<int64_t>(StoredTensors(checkpoint.config()).size()), checkpoint.WeightBytes()};
}

Verified VerifyStage(const fs::path& directory, const ModelConfig& planned) {
  Checkpoint written = Checkpoint::Open(directory);
  if (Json found = ToJson(written.config()), wanted = ToJson(planned); found != wanted)
    Fail((directory / "config.json").string(), "differs from the plan: {}", Json::diff(wanted, found).dump());
  for (const StoredTensor& tensor : StoredTensors(planned)) {
    const TensorView& found = written.Tensor(tensor.name);
    if (found.dtype != tensor.dtype || found.shape != tensor.shape)
      Fail(directory.string(), "tensor \"{}\" is stored as {}, planned was {}", tensor.name, Name(found.dtype),
           Name(tensor.dtype));
  }
  if (written.WeightBytes() != WeightFileBytes(planned))
    Fail(directory.string(), "holds {} bytes of tensors, planned were {}", written.WeightBytes(),
         WeightFileBytes(planned));
  return VerifyValues(written);
}

VerifiedModel VerifyModel(const std::filesystem::path& directory) {
  const Checkpoint checkpoint = Checkpoint::Open(directory);
  const Verified values = VerifyValues(checkpoint);
  const int64_t tokens = Tokenizer::Open(directory)->vocab_size();
  if (tokens > checkpoint.config().vocab_size)
    Fail(directory.string(), "its tokenizer has {} tokens, but the model a vocabulary of only {}", tokens,
         checkpoint.config().vocab_size);
  return {values, tokens};
}

}  // namespace ecld
