#include "model/tensor_walker.h"

#include "core/progress.h"

namespace ecld {

void WalkTensors(const Checkpoint& in, CheckpointWriter& out, PassContext& context, const TensorWalk& walk) {
  Progress progress(walk.label, static_cast<int64_t>(out.table().size()), "tensors");
  int64_t layer = -1;
  for (const TensorSpec& target : out.table()) {
    const bool written = out.IsWritten(target);
    Json row = written ? walk.lost_row : walk.write(target);
    if (!row.is_null() && !(written && context.rows.Find(target.name))) context.rows.Add(target.name, std::move(row));
    if (target.layer != layer) {
      in.DropPages(layer);
      layer = target.layer;
    }
    out.Commit();
    progress.Advance(1, target.module);
  }
  in.DropPages(layer);
}

}  // namespace ecld
