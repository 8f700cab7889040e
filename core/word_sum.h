#pragma once
// A checksum of many bytes at the speed of memory: Fletcher's two running sums (1982) over 64-bit words, in eight lanes
// and pieces of a mebibyte, which threads share. It finds damage; it is no defence against intent.

#include <cstddef>
#include <cstdint>
#include <span>

#include "core/threads.h"

namespace ecld {

// REQUIRES: a multiple of 64 bytes.
uint64_t WordSum(std::span<const std::byte> bytes, ThreadPool& pool);

}  // namespace ecld
