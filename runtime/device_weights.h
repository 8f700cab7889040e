#pragma once
// Weights in a GPU's memory: packed ones as kernels/gemm/cuda/layout.h lays them out, dense ones row by row. Matrices
// that take the same inputs become one product where their formats are the same: query, key and value; gate and up.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/threads.h"
#include "kernels/packing/weight_view.h"
#include "runtime/step_machine.h"

namespace ecld {

// Rows of a product's outputs that one launch makes.
struct DeviceMatrix {
  int64_t first_output = 0, out_features = 0, in_features = 0;
  CudaWeight packed;                // codes null: dense
  const uint16_t* dense = nullptr;  // [out_features, dense_stride]
  DType dense_type = DType::kBF16;
  int64_t dense_stride = 0;
};

struct DeviceProduct {
  std::vector<DeviceMatrix> parts;
  int64_t out_features = 0, in_features = 0;
};

struct NamedWeight {
  WeightView weight;
  std::string name;  // for errors: "model.layers.0.mlp.up_proj.weight"
};

class DeviceLoader {
 public:
  // where: of errors, the checkpoint.
  DeviceLoader(StepMachine& machine, ThreadPool& pool, std::string where)
      : machine_(machine), pool_(pool), where_(std::move(where)) {}

  // Matrices that take the same inputs, their outputs one after the other. The host holds one product's bytes at a
  // time. THROWS Error naming the matrix when the GPU's kernels do not take its format.
  DeviceProduct Load(const std::vector<NamedWeight>& weights);
  const float* Load(std::span<const float> values);

  uint64_t Bytes() const { return bytes_; }  // loaded so far

 private:
  DeviceMatrix LoadPacked(std::span<const WeightView> parts);
  DeviceMatrix LoadDense(std::span<const WeightView> parts);
  const std::byte* Copy(const std::vector<std::byte>& bytes);

  StepMachine& machine_;
  ThreadPool& pool_;
  std::string where_;
  uint64_t bytes_ = 0;
};

}  // namespace ecld
