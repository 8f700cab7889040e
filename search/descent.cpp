#include "search/descent.h"

#include <map>

namespace ecld {

Point DescendAxes(const std::vector<size_t>& sizes, const std::function<double(const Point&)>& loss) {
  std::map<Point, double> seen;
  const auto at = [&](const Point& point) {
    const auto found = seen.find(point);
    return found != seen.end() ? found->second : seen.emplace(point, loss(point)).first->second;
  };
  Point best(sizes.size(), 0);
  double least = at(best);
  // Whether a step along this axis helps; goes on in its direction while it does.
  const auto follow = [&](size_t axis, ptrdiff_t step) {
    bool better = false;
    while (true) {
      const ptrdiff_t level = static_cast<ptrdiff_t>(best[axis]) + step;
      if (level < 0 || level >= static_cast<ptrdiff_t>(sizes[axis])) return better;
      Point next = best;
      next[axis] = static_cast<size_t>(level);
      const double found = at(next);
      if (!(found < least)) return better;
      best = next;
      least = found;
      better = true;
    }
  };
  for (bool better = true; better;) {
    better = false;
    for (size_t axis = 0; axis < sizes.size(); ++axis)
      if (follow(axis, 1) || follow(axis, -1)) better = true;
  }
  return best;
}

}  // namespace ecld
