#pragma once
// What kernels for compute capability 9.0 compute about their operands: where wgmma and the tensor copies find and put
// things. The same functions run in the kernels and in the tests on the CPU.

#include <cstdint>
#include <string>

#include "kernels/cuda/lanes.h"

namespace ecld::cuda {

// A descriptor of operand B in shared memory (PTX manual, "Matrix Descriptor Format" of wgmma): rows of 128 bytes, one
// for each of the N columns, as Swizzle128 has them; eight rows are 1024 bytes. address: of the first of the 16 inputs
// that an instruction takes, inside a matrix that begins on 1024 bytes.
ECLD_LANE constexpr uint64_t WgmmaDescriptor(uint32_t address) {
  constexpr uint64_t kEightRows = 1024, kSwizzle128 = 1;
  return (address >> 4 & 0x3fffu) | uint64_t{1} << 16 | (kEightRows >> 4) << 32 | kSwizzle128 << 62;
}

// Where value i (0 .. N/2 - 1) of a thread lies in the 64 x N sums of wgmma ("Register Fragments for wgmma.m64nNk16"):
// thread: 0 .. 127 of the warpgroup.
ECLD_LANE constexpr int WgmmaRow(int thread, int i) { return thread / 32 * 16 + thread % 32 / 4 + 8 * (i / 2 % 2); }
ECLD_LANE constexpr int WgmmaColumn(int thread, int i) { return i / 4 * 8 + thread % 4 * 2 + i % 2; }

// Which of the `stages` buffers of a pipeline step i uses, and the parity of the phase in which its barrier is then.
struct PipelineStep {
  int stage;
  uint32_t parity;
};
ECLD_LANE constexpr PipelineStep StepOf(int i, int stages) {
  return {i % stages, static_cast<uint32_t>(i / stages % 2)};
}

// A matrix of 16-bit floats in global memory as tensor copies see it, and the box that one copy takes from it; what
// lies outside the matrix is read as zeros. In shared memory a row of the box is 128 bytes, as Swizzle128 has them.
struct TensorBox {
  DType type = DType::kF16;
  const void* base = nullptr;
  uint64_t columns = 0, rows = 0;
  uint64_t row_bytes = 0;  // from row to row
  uint32_t box_columns = 64, box_rows = 0;
};

}  // namespace ecld::cuda
