#include "kernels/gemm/cuda/dispatch.h"

#include <gtest/gtest.h>

#include <fmt/format.h>

#include <algorithm>

#include "kernels/gemm/cuda/gemm.h"
#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

constexpr std::string_view kHeading = "cc,bits,type,m,n,k,implementation,splits,source,device\n";

CudaDispatch Parse(std::string_view rows) {
  return CudaDispatch::Parse(fmt::format("# made by hand\n{}{}", kHeading, rows), "table.csv", kCudaDispatched);
}

TEST(CudaDispatch, RowsAreForWhatTheySay) {
  const CudaDispatch table = Parse(
      "80-89,*,*,*,*,*,mma,0,modelled,\"a GPU, of another kind\"\n"
      "90-,8,*,*,*,*,mma,2,measured,NVIDIA H200\n"
      "90-,2-4,F16,*,*,*,dequant_cublas,0,modelled,NVIDIA H200\n"
      "90-,2-4,BF16,1-16,*,*,gemv,0,modelled,NVIDIA H200\n"
      "90-,2-4,BF16,17-,*,0-63,mma,0,modelled,NVIDIA H200\n"
      "90-,2-4,BF16,17-,*,64-,mma,3,modelled,NVIDIA H200\n");
  const auto line = [&](int cc, int bits, DType type, int64_t m, int64_t n, int64_t k) {
    return table.Find({.compute_capability = cc, .bits = bits, .type = type, .m = m, .n = n, .k = k}).line;
  };
  EXPECT_EQ(line(86, 4, DType::kBF16, 1, 1, 1), 3);
  EXPECT_EQ(line(90, 8, DType::kBF16, 1, 1, 1), 4);
  EXPECT_EQ(line(120, 3, DType::kF16, 1 << 20, 1, 1), 5);
  EXPECT_EQ(line(90, 2, DType::kBF16, 16, 1, 1), 6);
  EXPECT_EQ(line(90, 2, DType::kBF16, 17, 1, 63), 7);
  EXPECT_EQ(line(90, 2, DType::kBF16, 17, 1, 64), 8);
  EXPECT_EQ(table.rows()[0].device, "a GPU, of another kind");
  EXPECT_FALSE(table.rows()[0].measured);
  EXPECT_TRUE(table.rows()[1].measured);
  EXPECT_EQ(table.rows()[1].splits, 2);
}

TEST(CudaDispatch, EachProductMustHaveOneRow) {
  EXPECT_ERROR(Parse("*,*,*,1-2,*,*,gemv,0,modelled,X\n"), "table.csv: m 3, n 1, k 1 of 2 bits and type F16 for cc 80");
  EXPECT_ERROR(Parse("*,2-4,*,*,*,*,mma,0,modelled,X\n"), "table.csv: m 1, n 1, k 1 of 8 bits");
  EXPECT_ERROR(Parse("*,*,F16,*,*,*,mma,0,modelled,X\n"), "type BF16 for cc 80 have no row");
  EXPECT_ERROR(Parse("90-,*,*,*,*,*,mma,0,modelled,X\n"), "for cc 80 have no row");
  EXPECT_ERROR(Parse("80-90,*,*,*,*,*,mma,0,modelled,X\n"), "for cc 91 have no row");
  EXPECT_ERROR(Parse("*,*,*,*,1-63,*,mma,0,modelled,X\n*,*,*,*,65-,*,mma,0,modelled,X\n"), "n 64, k 1 of");
  EXPECT_ERROR(Parse("*,*,*,*,*,*,mma,0,modelled,X\n*,4,*,17-32,*,*,mma,0,modelled,X\n"),
               "table.csv:4: m 17, n 1, k 1 of 4 bits and type F16 for cc 80 have a row already, in line 3");
  EXPECT_ERROR(Parse(""), "have no row");
}

TEST(CudaDispatch, BadRowsAreRefused) {
  const auto row = [](std::string_view text) { return Parse(fmt::format("{}\n", text)); };
  EXPECT_ERROR(row("*,*,*,*,*,*,mna,0,modelled,X"),
               "table.csv:3: no CUDA matrix product is named \"mna\" (did you mean mma?)");
  EXPECT_ERROR(row("*,*,*,*,*,*,mma,0,modelled"), "table.csv:3: found 9 cells, a row has the 10 of cc,");
  EXPECT_ERROR(row("*,*,*,4-3,*,*,mma,0,modelled,X"), "table.csv:3: m: 4-3 is a range from more to less");
  EXPECT_ERROR(row("*,*,*,x,*,*,mma,0,modelled,X"), "table.csv:3: m: \"x\" is not a number of 0 or more");
  EXPECT_ERROR(row("*,*,*,*,-4,*,mma,0,modelled,X"), "table.csv:3: n: \"\" is not a number");
  EXPECT_ERROR(row("*,*,*,*,*,5k,mma,0,modelled,X"), "table.csv:3: k: \"5k\" is not a number");
  EXPECT_ERROR(row("*,*,*,*,*,*,mma,some,modelled,X"), "table.csv:3: splits: \"some\" is not a number");
  EXPECT_ERROR(row("*,*,F32,*,*,*,mma,0,modelled,X"), "table.csv:3: type: \"F32\" is none of F16, BF16, *");
  EXPECT_ERROR(row("*,*,*,*,*,*,mma,0,guessed,X"), "source: \"guessed\" is neither measured nor modelled");
  EXPECT_ERROR(row("*,*,*,*,*,*,mma,0,measured,"), "table.csv:3: device is empty");
  EXPECT_ERROR(row("*,*,*,*,*,*,mma,0,modelled,\"X"), "a quotation mark is not closed");
  EXPECT_ERROR(CudaDispatch::Parse("cc,bits\n", "table.csv", kCudaDispatched), "table.csv:1: the columns are");
}

// What the program holds covers everything with implementations that there are, none of which waits for its proof.
TEST(CudaDispatch, TheShippedTable) {
  EXPECT_FALSE(ShippedCudaDispatch().rows().empty());
  for (const CudaDispatchRow& row : ShippedCudaDispatch().rows()) {
    EXPECT_NE(row.implementation, "wgmma");
    EXPECT_TRUE(std::ranges::any_of(CudaGemmImplementations(),
                                    [&](const auto& known) { return row.implementation == known.name; }));
  }
}

TEST(CudaDispatch, WorkspaceIsEnoughForWhateverIsTaken) {
  for (int64_t m : {1, 3, 64, 500, 1000})
    for (const CudaDispatchRow& row : ShippedCudaDispatch().rows()) {
      if (!row.m.Holds(m)) continue;
      EXPECT_GE(CudaGemmWorkspace(4096, 4096, m), CudaGemmWorkspace(4096, 4096, m, row.implementation));
    }
  // Decoding needs no dense weights.
  EXPECT_LT(CudaGemmWorkspace(4096, 4096, 64), 32u << 20);
  EXPECT_ERROR(CudaGemmWorkspace(64, 64, 1, "gemw"), "no CUDA matrix product is named \"gemw\" (did you mean gemv");
}

}  // namespace
}  // namespace ecld
