// The operators as a LibTorch program calls them that knows nothing of ECLD but the library.

#include <ATen/ATen.h>
#include <ATen/core/dispatch/Dispatcher.h>
#include <gtest/gtest.h>

#include <optional>

#include "core/shared_library.h"
#include "tests/model/packed_tensors.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

using Optional = std::optional<at::Tensor>;

template <class Type>
auto Operator(const char* name) {
  static const SharedLibrary& library = *new SharedLibrary(SharedLibrary::Open("the operators", {ECLD_OPERATORS}));
  static_cast<void>(library);
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Type>();
}

at::Tensor Linear(const at::Tensor& x, const at::Tensor& codes, const at::Tensor& scales, const Optional& zero_points,
                  int64_t out_features, int64_t bits, int64_t group_size) {
  using Type =
      at::Tensor(const at::Tensor&, const at::Tensor&, const at::Tensor&, const Optional&, int64_t, int64_t, int64_t);
  return Operator<Type>("ecld::packed_linear").call(x, codes, scales, zero_points, out_features, bits, group_size);
}

std::vector<at::Tensor> Tiles(const at::Tensor& codes, const at::Tensor& scales, const Optional& zero_points,
                              int64_t in_features, int64_t bits, int64_t group_size) {
  using Type =
      std::vector<at::Tensor>(const at::Tensor&, const at::Tensor&, const Optional&, int64_t, int64_t, int64_t);
  return Operator<Type>("ecld::tile_packed").call(codes, scales, zero_points, in_features, bits, group_size);
}

// What a ValueError says; "" where there is none.
template <class Call>
std::string Refusal(const Call& call) {
  try {
    static_cast<void>(call());
  } catch (const c10::ValueError& error) {
    return error.what_without_backtrace();
  }
  return "";
}

Optional Zeros(const PackedTensors& tensors) {
  return tensors.zero_points.defined() ? Optional(tensors.zero_points) : std::nullopt;
}

TEST(TorchOperators, MultiplyAsTorchDoesWithTheDenseMatrix) {
  uint64_t seed = 1;
  for (int bits : {2, 3, 4, 5, 6, 8})
    for (bool symmetric : {true, false})
      for (int64_t group : {32, 0})
        for (at::ScalarType type : {at::kFloat, at::kHalf, at::kBFloat16}) {
          const PackedFormat format = {.bits = bits, .group_size = group, .symmetric = symmetric};
          const PackedTensors tensors = RandomPackedTensors(33, 70, format, at::kHalf, seed++);
          const at::Tensor x = at::randn({2, 3, 70}).to(type);
          const at::Tensor y = Linear(x, tensors.codes, tensors.scales, Zeros(tensors), 33, bits, group);
          ASSERT_EQ(y.sizes(), at::IntArrayRef({2, 3, 33}));
          ASSERT_EQ(y.scalar_type(), type);
          const double rounding = type == at::kFloat ? 1e-5 : type == at::kHalf ? 5e-4 : 4e-3;
          EXPECT_TRUE(Near(Values(y), Values(at::linear(x.to(at::kFloat), tensors.dense)), Relative(rounding)))
              << format.Name();
        }
}

TEST(TorchOperators, HaveShapesWithoutData) {
  const auto on_meta = [](const at::Tensor& tensor) { return tensor.to(at::kMeta); };
  for (bool symmetric : {true, false}) {
    const PackedFormat format = {.bits = 3, .group_size = 32, .symmetric = symmetric};
    const PackedTensors tensors = RandomPackedTensors(70, 96, format, at::kBFloat16, 3);
    const Optional zeros = Zeros(tensors), meta_zeros = zeros ? Optional(on_meta(*zeros)) : std::nullopt;
    const at::Tensor codes = on_meta(tensors.codes), scales = on_meta(tensors.scales);
    const at::Tensor y =
        Linear(at::zeros({5, 1, 96}, at::device(at::kMeta).dtype(at::kHalf)), codes, scales, meta_zeros, 70, 3, 32);
    EXPECT_TRUE(y.is_meta());
    EXPECT_EQ(y.scalar_type(), at::kHalf);
    EXPECT_EQ(y.sizes(), at::IntArrayRef({5, 1, 70}));
    const std::vector<at::Tensor> real = Tiles(tensors.codes, tensors.scales, zeros, 96, 3, 32);
    const std::vector<at::Tensor> shapes = Tiles(codes, scales, meta_zeros, 96, 3, 32);
    ASSERT_EQ(real.size(), symmetric ? 2u : 3u);
    ASSERT_EQ(shapes.size(), real.size());
    for (size_t i = 0; i < real.size(); ++i) {
      EXPECT_TRUE(shapes[i].is_meta());
      EXPECT_EQ(shapes[i].sizes(), real[i].sizes());
      EXPECT_EQ(shapes[i].scalar_type(), real[i].scalar_type());
    }
  }
}

TEST(TorchOperators, SayWhatDoesNotFit) {
  const PackedTensors good = RandomPackedTensors(40, 96, {.bits = 4, .group_size = 32}, at::kHalf, 4);
  const at::Tensor x = at::zeros({2, 96});
  const auto linear = [&](const at::Tensor& input, int64_t out, int64_t bits, int64_t group,
                          const Optional& zeros = std::nullopt) {
    return Refusal([&] { return Linear(input, good.codes, good.scales, zeros, out, bits, group); });
  };
  EXPECT_EQ(linear(x, 40, 4, 32), "");
  EXPECT_EQ(linear(x, 41, 4, 32), "ecld::packed_linear: out_features: is 41; codes have 40 rows");
  EXPECT_EQ(linear(x, 40, 1000, 32), "ecld::packed_linear: bits: is 1000, must be 2 to 6, or 8");
  EXPECT_NE(linear(x, 40, 7, 32), "");
  EXPECT_NE(linear(x, 40, 4, -1), "");
  EXPECT_EQ(linear(at::zeros({2, 128}), 40, 4, 32),
            "ecld::packed_linear: codes: is Int [40, 12] on cpu; it must be Int [40, 16]");
  EXPECT_EQ(linear(x.to(at::kDouble), 40, 4, 32),
            "ecld::packed_linear: x: is Double [2, 96] on cpu; it must be Float, Half or BFloat16");
  EXPECT_EQ(linear(at::scalar_tensor(1), 40, 4, 32),
            "ecld::packed_linear: x: is a single number; it must be [..., in_features]");
  EXPECT_EQ(linear(x, 40, 4, 32, at::zeros({5, 2}, at::kInt)),
            "ecld::packed_linear: zero_points: is Int [5, 2] on cpu; it must be Int [5, 3]");
  EXPECT_EQ(Refusal([&] { return Tiles(good.codes, good.scales.to(at::kFloat), {}, 96, 4, 32); }),
            "ecld::tile_packed: packed weight: is W4 g32 sym with scales F32; a GPU takes 2, 3, 4 or 8 bits in groups "
            "of 32, 64, 128, ... inputs or whole rows, with scales of 16 bits");
  EXPECT_EQ(Refusal([&] { return Tiles(good.codes.to(at::kMeta), good.scales.to(at::kMeta), {}, 0, 4, 32); }),
            "ecld::tile_packed: in_features: is 0, must be at least 1");
}

TEST(TorchOperators, SayThatNoGradientGoesThrough) {
  const PackedTensors good = RandomPackedTensors(40, 96, {.bits = 4, .group_size = 32}, at::kHalf, 5);
  const at::Tensor x = at::zeros({2, 96}).requires_grad_();
  EXPECT_NE(Refusal([&] { return Linear(x, good.codes, good.scales, {}, 40, 4, 32); }).find("x: wants a gradient"),
            std::string::npos);
}

}  // namespace
}  // namespace ecld
