#pragma once
// Models some of whose weights are zero, or twins of others: what pruning is to find and may take away without a logit
// moving.

#include <filesystem>
#include <vector>

#include "checkpoint/checkpoint_writer.h"

namespace ecld {

// change(spec, values).
template <class Change>
void WriteChanged(const std::filesystem::path& from, const std::filesystem::path& to, Change change) {
  const Checkpoint in = Checkpoint::Open(from);
  CheckpointWriter writer(to, in.config());
  for (const TensorSpec& spec : in.table()) {
    std::vector<float> values = in.ReadFloats(spec);
    change(spec, values);
    writer.WriteFloats(spec, values);
  }
  writer.Finish(from);
}

// silent(spec, row, column): of a matrix; of a bias or norm column is 0.
template <class Silent>
void WriteSilenced(const std::filesystem::path& from, const std::filesystem::path& to, Silent silent) {
  WriteChanged(from, to, [&](const TensorSpec& spec, std::vector<float>& values) {
    const int64_t columns = spec.matrix() ? spec.shape[1] : 1;
    for (int64_t i = 0; i < spec.Elements(); ++i)
      if (silent(spec, i / columns, i % columns)) values[static_cast<size_t>(i)] = 0;
  });
}

}  // namespace ecld
