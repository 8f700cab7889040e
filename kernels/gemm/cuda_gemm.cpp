#include "kernels/gemm/cuda_gemm.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cassert>
#include <limits>
#include <string>
#include <vector>

#include "core/error.h"
#include "kernels/gemm/cuda_product.h"

namespace ecld {
namespace {

constexpr int64_t kMmaRows = 192;                    // of x in one launch, so that the workspace stays small
constexpr int64_t kMmaBlocksWanted = 528;            // four for each of 132 multiprocessors
constexpr int64_t kCounters = kMmaBlocksWanted * 4;  // tiles of weights that are split, times blocks of x

// "" or what keeps the kernels from this problem.
std::string Unsupported(const CudaGemmArgs& args, const CudaDevice& device) {
  constexpr int64_t kMax = std::numeric_limits<int32_t>::max() / 2;
  const int cc = device.compute_capability;
  if (cc < 80)
    return fmt::format("{} has compute capability {}.{}; the kernels need 8.0 or later", device.name, cc / 10, cc % 10);
  if (args.type != DType::kF16 && args.type != DType::kBF16)
    return fmt::format("x and y are {}; the kernels take F16 and BF16", Name(args.type));
  if (args.x_stride % 8 != 0 || args.x_stride < args.weight.in_features)
    return fmt::format("rows of x are {} elements apart; it must be a multiple of 8, at least {}", args.x_stride,
                       args.weight.in_features);
  if (args.weight.in_features > kMax || args.weight.out_features > kMax || args.m > kMax)
    return fmt::format("m {}, n {}, k {}: each must be at most {}", args.m, args.weight.out_features,
                       args.weight.in_features, kMax);
  return "";
}

#if ECLD_HAS_CUDA
bool MmaSupports(const CudaGemmArgs& args, const CudaDevice& device) { return Unsupported(args, device).empty(); }

bool GemvSupports(const CudaGemmArgs& args, const CudaDevice& device) {
  return args.m <= 2 && Unsupported(args, device).empty();
}

void RunGemv(const CudaGemmArgs& args, CudaStream stream) {
  cuda::LaunchGemv(cuda::MakeProduct(args, 0, args.m), args.weight.format.bits, args.type, stream);
}

void RunMma(const CudaGemmArgs& args, CudaStream stream) {
  for (int64_t first = 0; first < args.m; first += kMmaRows)
    cuda::LaunchMma(cuda::MakeProduct(args, first, std::min(kMmaRows, args.m - first)), args.weight.format.bits,
                    args.type, stream);
}

constexpr std::array kImplementations = {
    CudaGemmImplementation{"gemv", GemvSupports, RunGemv},
    CudaGemmImplementation{"mma", MmaSupports, RunMma},
};
#else
constexpr std::array<CudaGemmImplementation, 0> kImplementations = {};
#endif

const CudaGemmImplementation& Choose(const CudaGemmArgs& args, const CudaDevice& device, std::string_view name) {
  std::vector<std::string> known;
  for (const auto& candidate : kImplementations) {
    known.emplace_back(candidate.name);
    if ((name.empty() || name == candidate.name) && candidate.supports(args, device)) return candidate;
  }
  if (kImplementations.empty()) Fail("", "this program was built without CUDA; configure with -DECLD_CUDA=ON");
  if (!name.empty() && std::find(known.begin(), known.end(), name) == known.end())
    Fail("", "no CUDA matrix product is named \"{}\"{}", name, DidYouMean(name, known));
  const std::string why = Unsupported(args, device);
  Fail("", "the CUDA matrix product{}{} does not support this: {}", name.empty() ? "" : " ", name,
       why.empty() ? fmt::format("{} rows of x, at most 2", args.m) : why);
}

}  // namespace

namespace cuda {

int64_t MmaSplits(int64_t tiles_n, int64_t tiles_k) {
  return std::clamp<int64_t>((kMmaBlocksWanted + tiles_n - 1) / tiles_n, 1, std::max<int64_t>(1, tiles_k / 4));
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
          .y = static_cast<uint16_t*>(args.y) + first * args.y_stride,
          .y_stride = args.y_stride,
          .splits = static_cast<int>(MmaSplits(weight.TilesN(), weight.TilesK())),
          .counters = reinterpret_cast<uint32_t*>(args.workspace),
          .parts = reinterpret_cast<float*>(args.workspace + kCounters * 4)};
}

}  // namespace cuda

std::span<const CudaGemmImplementation> CudaGemmImplementations() { return kImplementations; }

uint64_t CudaGemmWorkspace(int64_t out_features, int64_t in_features, int64_t m) {
  const CudaWeight shape = {.out_features = out_features, .in_features = in_features};
  const int64_t splits = cuda::MmaSplits(shape.TilesN(), shape.TilesK());
  const int64_t rows = std::min(m, kMmaRows), block = cuda::MmaColumns(rows) * 8;
  const int64_t padded_rows = (rows + block - 1) / block * block;
  const int64_t parts = splits == 1 ? 0 : splits * shape.TilesN() * kCudaTile * padded_rows;
  return static_cast<uint64_t>(kCounters * 4 + parts * 4);
}

void CudaGemm(const CudaGemmArgs& args, const CudaDevice& device, CudaStream stream, std::string_view implementation) {
  assert(args.weight.codes && args.x && args.y && args.workspace && args.m >= 0);
  const CudaGemmImplementation& chosen = Choose(args, device, implementation);
  if (args.m > 0) chosen.run(args, stream);
}

}  // namespace ecld
