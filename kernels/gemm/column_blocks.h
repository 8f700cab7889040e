#pragma once
// Work shared out among threads: the outputs of several products of the same rows are cut into blocks, and the threads
// take runs of blocks. One meeting of the threads serves all products.

#include <algorithm>
#include <span>

#include "kernels/gemm/gemm.h"

namespace ecld {

// A part of a product's outputs.
struct OutputBlock {
  int64_t column, columns;
  int64_t row, rows;
};

// Calls run(product, block) for every block of every product: of block_columns and block_rows, or less at the end of a
// product; blocks of the same columns follow one another. A thread is woken only for min_blocks or more.
template <typename Run>
void ForEachBlock(std::span<const GemmArgs> products, int64_t block_columns, int64_t block_rows, int64_t min_blocks,
                  ThreadPool& pool, const Run& run) {
  const int64_t m = products.front().m, row_blocks = (m + block_rows - 1) / block_rows;
  const auto blocks_of = [&](const GemmArgs& args) {
    return (args.weight.out_features + block_columns - 1) / block_columns * row_blocks;
  };
  int64_t total = 0;
  for (const GemmArgs& args : products) total += blocks_of(args);
  pool.ShareOut(total, min_blocks, [&](int64_t begin, int64_t end) {
    for (const GemmArgs& args : products) {
      const int64_t blocks = blocks_of(args);
      for (int64_t i = std::max<int64_t>(begin, 0); i < std::min(end, blocks); ++i) {
        const int64_t column = i / row_blocks * block_columns, row = i % row_blocks * block_rows;
        run(args, OutputBlock{.column = column,
                              .columns = std::min(block_columns, args.weight.out_features - column),
                              .row = row,
                              .rows = std::min(block_rows, m - row)});
      }
      begin -= blocks;
      end -= blocks;
    }
  });
}

// Calls run(product, first column, columns) for blocks of all rows.
template <typename Run>
void ForEachColumnBlock(std::span<const GemmArgs> products, int64_t block, int64_t min_blocks, ThreadPool& pool,
                        const Run& run) {
  ForEachBlock(products, block, std::max<int64_t>(1, products.front().m), min_blocks, pool,
               [&](const GemmArgs& args, const OutputBlock& part) { run(args, part.column, part.columns); });
}

}  // namespace ecld
