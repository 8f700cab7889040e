#pragma once
// Joins the answers of all variants of a world by item, and learns from a part of the items what to expect of the rest.

#include "offload/world.h"

namespace ecld::offload {

// Fills in what is of items. THROWS Error: a profile without uncertainty_items, a task without items, items that one
// model has answered and another has not (with their number), an item without the uncertainty that is asked for, a
// limit on what no item tells.
void JoinItems(World& world);

}  // namespace ecld::offload
