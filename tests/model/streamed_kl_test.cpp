#include "model/streamed_kl.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include "tests/testing/near.h"

namespace ecld {
namespace {

TEST(StreamedKl, IsTheDivergenceOfTheWhole) {
  at::manual_seed(1);
  const at::Tensor p = at::randn({5, 37}) * 4;
  const std::vector<at::Tensor> models = {p + at::randn({5, 37}) * 0.01, at::randn({5, 37}) * 9, p + 3};
  StreamedKl streamed(5, 3);
  for (const auto& [row, rows] : {std::pair{0, 1}, {1, 20}, {21, 16}})
    for (const auto& [token, tokens] : {std::pair{0, 2}, {2, 3}}) {
      streamed.Reference(token, p.narrow(0, token, tokens).narrow(1, row, rows));
      for (int64_t i = 0; i < 3; ++i) streamed.Model(i, models[i].narrow(0, token, tokens).narrow(1, row, rows));
    }
  std::vector<double> expected;
  for (const at::Tensor& q : models) {
    const at::Tensor log_p = at::log_softmax(p.to(at::kDouble), 1), log_q = at::log_softmax(q.to(at::kDouble), 1);
    expected.push_back((log_p.exp() * (log_p - log_q)).sum(1).mean().item<double>());
  }
  EXPECT_TRUE(Near(streamed.Means(), expected, {.max_abs = 2e-6}));
  EXPECT_LT(streamed.Means()[2], 1e-6) << "a shift of all logits changes nothing";
}

}  // namespace
}  // namespace ecld
