#pragma once
// Packed matrices as blocks of GGUF, bit for bit: the values of the blocks are those of the packed matrix, or there are
// no blocks. All of GGUF's plain blocks hold 32 inputs with an F16 scale d; n is the code:
//
//   Q4_0  4.5 bits  d * (n - 8)    what u - zero_point of -8 to 7 becomes: 2, 3 and 4 bits symmetric, 2 and 3
//   asymmetric Q4_1  5.0 bits  d * n + m      4 bits asymmetric where -zero_point * scale is an F16 number in every
//   group Q5_0  5.5 bits  d * (n - 16)   4 bits asymmetric otherwise: u - zero_point lies between -15 and 15 Q8_0  8.5
//   bits  d * n          8 bits symmetric

#include <cstddef>
#include <string>

#include "checkpoint/gguf/gguf_dequantize.h"
#include "core/threads.h"
#include "kernels/packing/weight_view.h"

namespace ecld {

// The smallest type that holds weight exactly. REQUIRES: weight is packed.
// THROWS Error naming `where` (the tensor): groups that are not whole blocks, a scale that F16 does not hold, a range
// that no type has.
GgmlType FitGgufType(const WeightView& weight, const std::string& where, ThreadPool& pool);

// Row `row` as blocks of the type that fits. REQUIRES: out holds them.
void EncodeGgufRow(const WeightView& weight, int64_t row, GgmlType type, std::byte* out);

}  // namespace ecld
