#pragma once
// Which CUDA matrix product is taken: a table, as data. Its rows stand in dispatch/cuda.csv and are part of the
// program; benchmarks/gpu.sh makes them by a sweep on a device.
//
//   cc,bits,type,m,n,k,implementation,splits,source,device
//   90,4,BF16,1-2,*,*,gemv,0,measured,"NVIDIA H200"
//
// A row is for the products inside all its ranges: "7", "3-48", "49-" (and more), "*" (all). cc: compute capability (90
// for 9.0); n, k: out_features, in_features; splits: of the inputs, 0 for as the implementation does. source: modelled
// or measured; device: on which, or for the limits of which. Each product has exactly one row, which is checked when a
// table is read. "#" starts a comment line.

#include <cstdint>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/dtype.h"

namespace ecld {

struct CudaDispatchRange {
  int64_t low = 0;
  int64_t high = std::numeric_limits<int64_t>::max();  // inclusive
  bool Holds(int64_t value) const { return low <= value && value <= high; }
};

struct CudaDispatchRow {
  CudaDispatchRange cc, bits, type, m, n, k;  // type: 0 F16, 1 BF16
  std::string implementation;
  int splits = 0;
  bool measured = false;
  std::string device;
  int line = 0;  // of the file
};

struct CudaDispatchKey {
  int compute_capability = 0;
  int bits = 0;
  DType type = DType::kF16;
  int64_t m = 0, n = 0, k = 0;
};

class CudaDispatch {
 public:
  // implementations: names a row may have. THROWS Error "where:line: ..." on a malformed row, an unknown name, two rows
  // for one product; "where: ..." for a product without a row.
  static CudaDispatch Parse(std::string_view text, const std::string& where,
                            std::span<const std::string_view> implementations);

  std::span<const CudaDispatchRow> rows() const { return rows_; }
  // REQUIRES: cc 80 or more, bits 2, 3, 4 or 8, m, n and k positive.
  const CudaDispatchRow& Find(const CudaDispatchKey& key) const;

 private:
  void CheckCover(const std::string& where) const;

  std::vector<CudaDispatchRow> rows_;
};

// Names that rows may have.
inline constexpr std::string_view kCudaDispatched[] = {"gemv", "mma", "dequant_cublas", "wgmma"};

// The table of this program, read once.
const CudaDispatch& ShippedCudaDispatch();

// A file of dispatch/, as it stands in the program.
struct CudaDispatchFile {
  std::string_view name, content;
};
std::span<const CudaDispatchFile> ShippedCudaDispatchFiles();

}  // namespace ecld
