#pragma once
// Shapes of products on which others test their kernels, where tests of ours for several processors go through them.

#include <cstdint>
#include <vector>

namespace ecld {

struct GemmShape {
  int64_t m, n, k;
};

// vLLM's test_machete_mm.py.
inline const std::vector<GemmShape> kMacheteShapes = {{1, 128, 128},    {1, 8192, 28672},  {13, 8192, 4096},
                                                      {26, 4096, 8192}, {64, 4096, 4096},  {64, 8192, 28672},
                                                      {257, 128, 4096}, {257, 4224, 4160}, {1024, 8192, 4096}};

}  // namespace ecld
