#pragma once
// Which tokens of a text are scored, with how much context before them. Window i covers the tokens from i * stride,
// `window` of them, fewer at the end of the text; the last window is the first that reaches the end. The windows are
// part of the definition of a perplexity, so every result states them.

#include <cstdint>
#include <string>
#include <vector>

#include "core/json.h"

namespace ecld {

struct WindowOptions {
  int64_t window = 512;  // tokens the model sees at once
  int64_t stride = 512;  // tokens from the start of one window to the start of the next; at most `window`
  // Position in its window of the first token that is scored; the one at 0 has no context and never is.
  // 0: each token of the text once (from 1 in the first window, from window - stride in later ones).
  int64_t score_from = 0;
  int64_t max_windows = 0;  // 0: all
};

struct Window {
  int64_t begin = 0;         // in the text
  int64_t length = 0;        // tokens
  int64_t first_scored = 1;  // in the window; the tokens [first_scored, length) are scored

  int64_t Scored() const { return length - first_scored; }
};

// THROWS Error when the options contradict each other, or when the text has no token to score (fewer than two).
// where: names the text in the error.
std::vector<Window> Windows(int64_t tokens, const WindowOptions& options, const std::string& where);

}  // namespace ecld
