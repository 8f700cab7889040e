#pragma once
// Takes inputs of a linear out of a block: its columns, and the rows of what makes them.

#include <ATen/core/Tensor.h>

#include "model/block.h"

namespace ecld {

// linear: kDown or kOutput. inputs: those that are left, ascending; of kOutput in whole heads, as many of every group
// that is left.
void CutInputs(Block& block, Role linear, const at::Tensor& inputs);

}  // namespace ecld
