#pragma once
// Descent along the axes of a grid: from a point, one axis after the other is followed while the loss falls, until no
// step along any axis makes it fall. Where the axes hardly depend on each other, as sizes and formats under one budget
// do, it looks at few of the points. It never ends above where it began.

#include <cstddef>
#include <functional>
#include <vector>

namespace ecld {

using Point = std::vector<size_t>;  // of each axis, an index

// sizes: of each axis, how many levels it has. loss: asked once for each point; infinite where there is nothing.
// Begins at the first level of each axis. Equal losses: the point seen first.
Point DescendAxes(const std::vector<size_t>& sizes, const std::function<double(const Point&)>& loss);

}  // namespace ecld
