#include "prune/cut.h"

#include <ATen/ATen.h>

#include "checkpoint/linear_groups.h"

namespace ecld {

void CutInputs(Block& block, Role linear, const at::Tensor& inputs) {
  const int64_t all = block.Parameter(linear).size(1), head_dim = block.config().head_dim;
  for (Role role : GroupOf(linear).makers) {
    // Where fewer rows make them, heads of keys and values, each is that of several query heads.
    const int64_t shared_by = all / block.Parameter(role).size(0);
    const at::Tensor rows = inputs.div(shared_by * head_dim, "floor") * head_dim + inputs.remainder(head_dim);
    const at::Tensor kept = std::get<0>(at::_unique(rows));
    for (bool bias : {false, true})
      if (block.Has(role, bias)) block.Parameter(role, bias) = block.Parameter(role, bias).index_select(0, kept);
  }
  block.Parameter(linear) = block.Parameter(linear).index_select(1, inputs);
}

}  // namespace ecld
