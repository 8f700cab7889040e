#pragma once
// Streams a model tensor by tensor through a pass that looks at one at a time, in the order of out's table. Tensors
// that out holds already, by an earlier run that was killed, are passed over.

#include <functional>
#include <string>

#include "model/pass.h"

namespace ecld {

struct TensorWalk {
  std::string label;  // the pass's name, for the progress line
  // Writes the tensor; its row for the report, null: none.
  std::function<Json(const TensorSpec&)> write;
  Json lost_row;  // of a tensor that an earlier run has written, its row lost; null: no rows
};

void WalkTensors(const Checkpoint& in, CheckpointWriter& out, PassContext& context, const TensorWalk& walk);

}  // namespace ecld
