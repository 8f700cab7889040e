#pragma once
// The sizes at which kernels are timed, from files such as benchmarks/shapes/*.txt: a line is an op, a name and the
// op's sizes; "#" starts a comment.

#include <array>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace ecld {

struct KernelShape {
  std::string op;                // one of kKernelOps
  std::string name;              // of what it is in the model: "gate_up"
  std::vector<int64_t> sizes{};  // in the order of the op's KernelOp::sizes
};

struct KernelOp {
  std::string_view name;
  std::array<std::string_view, 3> sizes;  // what they are called; "" after the last
};

inline constexpr std::array<KernelOp, 5> kKernelOps = {{{"gemm", {"out_features", "in_features"}},
                                                        {"attention", {"heads", "kv_heads", "head_dim"}},
                                                        {"norm", {"width"}},
                                                        {"rope", {"heads", "head_dim"}},
                                                        {"swiglu", {"width"}}}};

// THROWS Error "file:line: ..." for an unknown op, missing or surplus sizes, a size outside 1 .. 2^24, heads that
// kv_heads do not divide, an odd head_dim; and for a file without shapes.
std::vector<KernelShape> ReadKernelShapes(const std::filesystem::path& file);

}  // namespace ecld
