#pragma once
// The frame of targets that try several readers on one input: an Error ends a try and nothing else.

#include "core/error.h"

namespace ecld {

template <class Body>
void OrError(const Body& body) {
  try {
    body();
  } catch (const Error&) {
  }
}

}  // namespace ecld
