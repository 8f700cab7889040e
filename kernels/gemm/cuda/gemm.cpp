#include "kernels/gemm/cuda/gemm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <limits>
#include <vector>

#include "core/error.h"
#include "kernels/gemm/cuda/dense.h"
#include "kernels/gemm/cuda/dispatch.h"
#include "kernels/gemm/cuda/product.h"

namespace ecld {
namespace {

constexpr int64_t kMmaRows = 192;                    // of x in one launch, so that the workspace stays small
constexpr int64_t kMmaBlocksWanted = 528;            // four for each of 132 multiprocessors
constexpr int64_t kCounters = kMmaBlocksWanted * 4;  // tiles of weights that are split, times blocks of x
constexpr int64_t kCounterBytes = kCounters * 4;
constexpr int64_t kWgmmaBlocks = 132;  // one on each multiprocessor of an H200

CudaWeight ShapeOf(const CudaGemmSize& size) {
  return {.out_features = size.out_features, .in_features = size.in_features};
}

// What keeps all of them from it.
std::string Unsupported(const CudaGemmArgs& args, const CudaDevice& device) {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max() / 2;
  const int cc = device.compute_capability;
  if (!BuiltWithCuda()) return "this program was built without CUDA; configure with -DECLD_CUDA=ON";
  if (cc < 80)
    return fmt::format("{} has compute capability {}.{}; the kernels need 8.0 or later", device.name, cc / 10, cc % 10);
  if (args.type != DType::kF16 && args.type != DType::kBF16)
    return fmt::format("x and y are {}; the kernels take F16 and BF16", Name(args.type));
  if (args.x_stride % 8 != 0 || args.x_stride < args.weight.in_features)
    return fmt::format("rows of x are {} elements apart; it must be a multiple of 8, at least {}", args.x_stride,
                       args.weight.in_features);
  if (args.weight.in_features > kMax || args.weight.out_features > kMax || args.m > kMax || args.y_stride > kMax)
    return fmt::format("m {}, n {}, k {}, rows of y {} elements apart: each must be at most {}", args.m,
                       args.weight.out_features, args.weight.in_features, args.y_stride, kMax);
  return "";
}

std::string GemvUnsupported(const CudaGemmArgs& args, const CudaDevice& device) {
  if (args.m > 2) return fmt::format("{} rows of x, at most 2", args.m);
  return Unsupported(args, device);
}

std::string DenseUnsupported(const CudaGemmArgs& args, const CudaDevice& device) {
  std::string why = Unsupported(args, device);
  if (why.empty()) FindCublas(&why);
  return why;
}

std::string WgmmaUnsupported(const CudaGemmArgs& args, const CudaDevice& device) {
  constexpr int64_t kMaxRows = 65535 * 64;  // blocks in one direction of a grid
  const int cc = device.compute_capability;
  if (BuiltWithCuda() && cc != 90)
    return fmt::format("{} has compute capability {}.{}; this one is for 9.0 alone", device.name, cc / 10, cc % 10);
  if (args.m > kMaxRows) return fmt::format("{} rows of x, at most {}", args.m, kMaxRows);
  return Unsupported(args, device);
}

uint64_t GemvWorkspace(const CudaGemmSize&) { return kCounterBytes; }

uint64_t MmaWorkspace(const CudaGemmSize& size) {
  const CudaWeight shape = ShapeOf(size);
  const int64_t splits = cuda::MmaSplits(shape.TilesN(), shape.TilesK(), size.splits);
  const int64_t rows = std::min(size.m, kMmaRows), block = cuda::MmaColumns(rows) * 8;
  const int64_t padded_rows = (rows + block - 1) / block * block;
  const int64_t parts = splits == 1 ? 0 : splits * shape.TilesN() * kCudaTile * padded_rows;
  return static_cast<uint64_t>(kCounterBytes + parts * 4);
}

uint64_t DenseWorkspaceBytes(const CudaGemmSize& size) {
  const CudaWeight shape = ShapeOf(size);
  return kCounterBytes + cuda::DenseWorkspace(shape.TilesN(), shape.TilesK());
}

// Parts are only made where all of them together are few blocks.
uint64_t WgmmaWorkspace(const CudaGemmSize& size) {
  const int64_t pairs = (ShapeOf(size).TilesN() + 1) / 2, rows = cuda::WgmmaRows(size.m);
  const int64_t blocks = size.splits > 0 ? size.splits * pairs * ((size.m + rows - 1) / rows) : kWgmmaBlocks;
  return static_cast<uint64_t>(kCounterBytes + blocks * 2 * kCudaTile * rows * 4);
}

#if ECLD_HAS_CUDA
void RunGemv(const CudaGemmArgs& args, CudaStream stream) {
  cuda::LaunchGemv(cuda::MakeProduct(args, 0, args.m), args.weight.format.bits, args.type, stream);
}

void RunMma(const CudaGemmArgs& args, CudaStream stream) {
  for (int64_t first = 0; first < args.m; first += kMmaRows)
    cuda::LaunchMma(cuda::MakeProduct(args, first, std::min(kMmaRows, args.m - first)), args.weight.format.bits,
                    args.type, stream);
}

void RunDequantCublas(const CudaGemmArgs& args, CudaStream stream) {
  const auto dequantize = [&](const cuda::Product& product, int first_tile, int tiles, uint16_t* dense) {
    cuda::LaunchDequantize(product, first_tile, tiles, args.weight.format.bits, args.type, dense, stream);
  };
  cuda::RunDense(args, *FindCublas(), args.workspace + kCounterBytes, stream, dequantize);
}

void RunWgmma(const CudaGemmArgs& args, CudaStream stream) {
  cuda::LaunchWgmma(cuda::MakeWgmmaProduct(args), args.weight.format.bits, args.type, stream);
}
#else
constexpr auto RunGemv = nullptr, RunMma = nullptr, RunDequantCublas = nullptr, RunWgmma = nullptr;
#endif

constexpr std::array kImplementations = {
    CudaGemmImplementation{"gemv", false, GemvUnsupported, GemvWorkspace, RunGemv},
    CudaGemmImplementation{"mma", true, Unsupported, MmaWorkspace, RunMma},
    CudaGemmImplementation{"dequant_cublas", false, DenseUnsupported, DenseWorkspaceBytes, RunDequantCublas},
    CudaGemmImplementation{"wgmma", false, WgmmaUnsupported, WgmmaWorkspace, RunWgmma},
};

const CudaGemmImplementation& Named(std::string_view name) {
  std::vector<std::string> known;
  for (const auto& candidate : kImplementations) {
    if (name == candidate.name) return candidate;
    known.emplace_back(candidate.name);
  }
  Fail("", "no CUDA matrix product is named \"{}\"{}", name, DidYouMean(name, known));
}

}  // namespace

namespace cuda {

int64_t MmaSplits(int64_t tiles_n, int64_t tiles_k, int wanted) {
  if (wanted > 0) return tiles_n > kMmaBlocksWanted ? 1 : std::min<int64_t>(wanted, std::max<int64_t>(1, tiles_k));
  return std::clamp<int64_t>((kMmaBlocksWanted + tiles_n - 1) / tiles_n, 1, std::max<int64_t>(1, tiles_k / 4));
}

int64_t WgmmaSplits(int64_t tiles_n, int64_t tiles_k, int64_t m, int wanted) {
  const int64_t rows = WgmmaRows(m), blocks = (tiles_n + 1) / 2 * ((m + rows - 1) / rows);
  if (wanted > 0) return blocks > kCounters ? 1 : std::min<int64_t>(wanted, std::max<int64_t>(1, tiles_k));
  return std::clamp<int64_t>(kWgmmaBlocks / blocks, 1, std::max<int64_t>(1, tiles_k / 8));
}

Product MakeProduct(const CudaGemmArgs& args, int64_t first, int64_t rows) {
  const CudaWeight& weight = args.weight;
  const PackedFormat& format = weight.format;
  const int64_t groups = format.Groups(weight.in_features);
  const auto group_size = static_cast<uint64_t>(format.GroupSize(weight.in_features));
  return {.codes = reinterpret_cast<const unsigned char*>(weight.codes),
          .scales = reinterpret_cast<const uint32_t*>(weight.scales),
          .zeros = reinterpret_cast<const uint16_t*>(weight.zeros),
          .middle_code = static_cast<uint32_t>(format.MidCode()),
          .half_scales = weight.scale_dtype == DType::kF16,
          .group_shift = groups == 1 ? 31 : std::countr_zero(group_size / 32),
          .groups = static_cast<int>(groups),
          .tiles_n = static_cast<int>(weight.TilesN()),
          .tiles_k = static_cast<int>(weight.TilesK()),
          .out_features = static_cast<int>(weight.out_features),
          .in_features = static_cast<int>(weight.in_features),
          .x = static_cast<const uint16_t*>(args.x) + first * args.x_stride,
          .x_stride = args.x_stride,
          .m = static_cast<int>(rows),
          .y = static_cast<std::byte*>(args.y) + first * args.y_stride * (args.wide_y ? 4 : 2),
          .y_stride = args.y_stride,
          .wide_y = args.wide_y,
          .splits = static_cast<int>(MmaSplits(weight.TilesN(), weight.TilesK(), args.splits)),
          .counters = reinterpret_cast<uint32_t*>(args.workspace),
          .parts = reinterpret_cast<float*>(args.workspace + kCounterBytes)};
}

Product MakeWgmmaProduct(const CudaGemmArgs& args) {
  Product product = MakeProduct(args, 0, args.m);
  product.splits = static_cast<int>(WgmmaSplits(product.tiles_n, product.tiles_k, args.m, args.splits));
  return product;
}

}  // namespace cuda

std::span<const CudaGemmImplementation> CudaGemmImplementations() { return kImplementations; }

uint64_t CudaGemmWorkspace(int64_t out_features, int64_t in_features, int64_t m, std::string_view implementation) {
  CudaGemmSize size = {.m = m, .out_features = out_features, .in_features = in_features};
  if (!implementation.empty()) return Named(implementation).workspace(size);
  uint64_t bytes = Named("mma").workspace(size);
  for (const CudaDispatchRow& row : ShippedCudaDispatch().rows()) {
    if (row.m.low > m || !row.n.Holds(out_features) || !row.k.Holds(in_features)) continue;
    size.m = std::min(m, row.m.high);
    size.splits = row.splits;
    bytes = std::max(bytes, Named(row.implementation).workspace(size));
  }
  return bytes;
}

CudaGemmChoice ChooseCudaGemm(const CudaGemmArgs& args, const CudaDevice& device, std::string_view name) {
  if (!name.empty()) {
    const CudaGemmImplementation& named = Named(name);
    std::string why = named.unsupported(args, device);
    if (why.empty() && args.invariant && !named.invariant) why = "the bits of its rows depend on how many there are";
    if (!why.empty()) Fail("", "the CUDA matrix product {} does not support this: {}", name, why);
    return {&named, args.splits, ""};
  }
  const CudaGemmImplementation& any = Named("mma");
  if (const std::string why = any.unsupported(args, device); !why.empty())
    Fail("", "the CUDA matrix product does not support this: {}", why);
  if (args.invariant) return {&any, args.splits, ""};
  const CudaDispatchRow& row = ShippedCudaDispatch().Find({.compute_capability = device.compute_capability,
                                                           .bits = args.weight.format.bits,
                                                           .type = args.type,
                                                           .m = std::max<int64_t>(1, args.m),
                                                           .n = args.weight.out_features,
                                                           .k = args.weight.in_features});
  const CudaGemmImplementation& chosen = Named(row.implementation);
  const std::string why = chosen.unsupported(args, device);
  if (!why.empty()) return {&any, args.splits, fmt::format("{}: {}", chosen.name, why)};
  return {&chosen, args.splits > 0 ? args.splits : row.splits, ""};
}

void CudaGemm(const CudaGemmArgs& args, const CudaDevice& device, CudaStream stream, std::string_view implementation) {
  assert(args.weight.codes && args.x && args.y && args.workspace && args.m >= 0);
  const CudaGemmChoice choice = ChooseCudaGemm(args, device, implementation);
  CudaGemmArgs split = args;
  split.splits = choice.splits;
  if (args.m > 0) choice.implementation->run(split, stream);
}

}  // namespace ecld
