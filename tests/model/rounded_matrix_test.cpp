#include "model/rounded_matrix.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/testing/near.h"
#include "tests/testing/packed_checkpoint.h"

namespace ecld {
namespace {

TEST(RoundedMatrix, IsReadAsItIsStoredAndWrittenBackTheSame) {
  ThreadPool pool(2);
  for (const PackedFormat& format :
       {PackedFormat{3, 32, false}, PackedFormat{5, 40, false}, PackedFormat{4, 0, true}}) {
    TempDir dir;
    const ModelConfig config = WritePackedCheckpoint(dir / "in", format, {.dtype = DType::kBF16});
    const Checkpoint in = Checkpoint::Open(dir / "in");
    CheckpointWriter writer(dir / "out", config);
    for (const TensorSpec& spec : in.table()) {
      if (!spec.format) {
        writer.CopyFrom(in, spec);
        continue;
      }
      const RoundedMatrix rounded = ReadRounded(in.Weight(spec), pool);
      const at::Tensor values = rounded.Values(pool);
      EXPECT_TRUE(Near(std::span(values.const_data_ptr<float>(), static_cast<size_t>(values.numel())),
                       in.ReadFloats(spec), Exact()))
          << format.Name() << " " << spec.name;
      WriteRows(writer, spec, 0, rounded, pool);
    }
    writer.Finish(dir / "in");
    const Checkpoint out = Checkpoint::Open(dir / "out");
    for (const TensorSpec& spec : in.table())
      for (const StoredTensor& part : StoredForm(spec, config)) {
        if (part.name.ends_with(".weight_zero_point")) continue;  // padding of the last word is not kept
        EXPECT_TRUE(std::ranges::equal(in.Tensor(part.name).bytes, out.Tensor(part.name).bytes)) << part.name;
      }
  }
}

}  // namespace
}  // namespace ecld
