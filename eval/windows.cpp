#include "eval/windows.h"

#include <algorithm>

#include "core/error.h"

namespace ecld {
namespace {

void CheckOptions(const WindowOptions& options) {
  if (options.window < 2) Fail("window", "found {}, at least 2 tokens are needed to predict one", options.window);
  if (options.stride < 1 || options.stride > options.window)
    Fail("stride", "found {}, expected 1 .. {} (the window; a larger stride would leave tokens out)", options.stride,
         options.window);
  if (options.score_from < 0 || options.score_from >= options.window)
    Fail("score_from", "found {}, expected 0 .. {} (below the window)", options.score_from, options.window - 1);
  if (options.max_windows < 0) Fail("max_windows", "found {}, expected 0 (all) or more", options.max_windows);
}

}  // namespace

std::vector<Window> Windows(int64_t tokens, const WindowOptions& options, const std::string& where) {
  CheckOptions(options);
  if (tokens < 2) Fail(where, "has {} tokens; at least 2 are needed to score one", tokens);
  std::vector<Window> windows;
  for (int64_t begin = 0;; begin += options.stride) {
    Window window{.begin = begin, .length = std::min(options.window, tokens - begin)};
    if (options.score_from > 0)
      window.first_scored = options.score_from;
    else if (begin > 0)
      window.first_scored = std::max<int64_t>(1, options.window - options.stride);
    if (window.Scored() > 0) windows.push_back(window);
    bool enough = options.max_windows > 0 && static_cast<int64_t>(windows.size()) == options.max_windows;
    if (enough || begin + window.length >= tokens) break;
  }
  if (windows.empty())
    Fail(where, "has {} tokens, and with score_from {} none of them is scored", tokens, options.score_from);
  return windows;
}

}  // namespace ecld
