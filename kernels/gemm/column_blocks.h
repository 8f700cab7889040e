#pragma once
// Work shared out among threads: the outputs of several products are cut into blocks of columns, and the threads take
// runs of blocks. One meeting of the threads serves all products.

#include <algorithm>
#include <span>

#include "kernels/gemm/gemm.h"

namespace ecld {

// Calls run(product, first column, columns) for every block of every product; `columns` is `block`, or less at the end
// of a product. A thread is woken only for min_blocks or more.
template <typename Run>
void ForEachColumnBlock(std::span<const GemmArgs> products, int64_t block, int64_t min_blocks, ThreadPool& pool,
                        const Run& run) {
  const auto blocks_of = [block](const GemmArgs& args) { return (args.weight.out_features + block - 1) / block; };
  int64_t total = 0;
  for (const GemmArgs& args : products) total += blocks_of(args);
  pool.ShareOut(total, min_blocks, [&](int64_t begin, int64_t end) {
    for (const GemmArgs& args : products) {
      const int64_t blocks = blocks_of(args);
      for (int64_t i = std::max<int64_t>(begin, 0); i < std::min(end, blocks); ++i)
        run(args, i * block, std::min(block, args.weight.out_features - i * block));
      begin -= blocks;
      end -= blocks;
    }
  });
}

}  // namespace ecld
