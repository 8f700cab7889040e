#include "model/trained_attention.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "model/operations.h"
#include "tests/testing/near.h"

namespace ecld {
namespace {

std::vector<float> Floats(const at::Tensor& tensor) {
  const at::Tensor flat = tensor.to(at::kFloat).flatten().contiguous();
  return {flat.const_data_ptr<float>(), flat.const_data_ptr<float>() + flat.numel()};
}

// Result and gradients at query, key and value.
std::vector<at::Tensor> ResultAndGradients(const auto& attention, std::vector<at::Tensor> inputs,
                                           const at::Tensor& gradient) {
  for (at::Tensor& input : inputs) input = input.clone().requires_grad_();
  const at::Tensor out = attention(inputs[0], inputs[1], inputs[2]);
  out.backward(gradient);
  return {out.detach(), inputs[0].grad(), inputs[1].grad(), inputs[2].grad()};
}

TEST(TrainedAttention, IsCausalAttentionWithItsGradients) {
  at::manual_seed(1);
  for (const int64_t heads : {2, 6})
    for (const int64_t window : {0, 5, 150}) {
      const at::Tensor query = at::randn({2, heads, 170, 8}), key = at::randn({2, 2, 170, 8});
      const at::Tensor value = at::randn({2, 2, 170, 8}), gradient = at::randn({2, heads, 170, 8});
      const auto expected = ResultAndGradients(
          [&](const auto& q, const auto& k, const auto& v) { return CausalAttention(q, k, v, window, 9.0); },
          {query, key, value}, gradient);
      for (const at::ScalarType products : {at::kFloat, at::kBFloat16}) {
        const auto found =
            ResultAndGradients([&](const auto& q, const auto& k,
                                   const auto& v) { return TrainedAttention(q, k, v, window, 9.0, products); },
                               {query, key, value}, gradient);
        for (size_t i = 0; i < expected.size(); ++i)
          EXPECT_TRUE(Near(Floats(found[i]), Floats(expected[i]), Relative(products == at::kFloat ? 1e-5 : 2e-2)))
              << heads << " heads, window " << window << ", tensor " << i;
      }
    }
}

}  // namespace
}  // namespace ecld
