#include "distill/grid_matrix.h"

#include <ATen/ATen.h>

#include <algorithm>

namespace ecld {
namespace {

// How far from the middle of its code a latent code may begin: a rounding error from the next code.
constexpr float kWithin = 0.499f;

float CodeOf(float latent, float max_code) { return NearestCode(latent, 1, 0, max_code); }

}  // namespace

template <class Body>
void GridMatrix::ForAllGroups(ThreadPool& pool, Body body) const {
  const int64_t rows = latent.size(0), in = latent.size(1), groups = format_.Groups(in), size = format_.GroupSize(in);
  const float* stretches = stretch.const_data_ptr<float>();
  pool.ParallelFor(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row)
      for (int64_t i = 0; i < groups; ++i) {
        const int64_t group = row * groups + i;
        GroupGrid grid = begun_[static_cast<size_t>(group)];
        grid.scale = StoredScale(grid.scale * stretches[group], scale_dtype_);
        body(row * in + i * size, std::min(size, in - i * size), group, grid);
      }
  });
}

GridMatrix::GridMatrix(const RoundedMatrix& rounded, const at::Tensor& dense, ThreadPool& pool)
    : latent(at::empty({rounded.rows, rounded.in_features})),
      stretch(at::ones({rounded.rows, rounded.format.Groups(rounded.in_features)})),
      format_(rounded.format),
      scale_dtype_(rounded.scale_dtype),
      begun_(rounded.grids) {
  float* latents = latent.data_ptr<float>();
  const float* weights = dense.defined() ? dense.const_data_ptr<float>() : nullptr;
  ForAllGroups(pool, [&](int64_t first, int64_t count, int64_t, const GroupGrid& grid) {
    for (int64_t at = first; at < first + count; ++at) {
      const auto code = static_cast<float>(rounded.codes[static_cast<size_t>(at)]);
      const float wanted =
          weights && grid.scale > 0 ? weights[at] / grid.scale + static_cast<float>(grid.zero_point) : code;
      latents[at] = std::clamp(wanted, code - kWithin, code + kWithin);
    }
  });
}

RoundedMatrix GridMatrix::Round(ThreadPool& pool) const {
  RoundedMatrix rounded(format_, scale_dtype_, latent.size(0), latent.size(1));
  const float* latents = latent.const_data_ptr<float>();
  const auto max_code = static_cast<float>(format_.MaxCode());
  ForAllGroups(pool, [&](int64_t first, int64_t count, int64_t group, const GroupGrid& grid) {
    rounded.grids[static_cast<size_t>(group)] = grid;
    for (int64_t at = first; at < first + count; ++at)
      rounded.codes[static_cast<size_t>(at)] = static_cast<uint8_t>(CodeOf(latents[at], max_code));
  });
  return rounded;
}

void GridMatrix::Values(const at::Tensor& values, ThreadPool& pool) const {
  float* to = values.data_ptr<float>();
  const float* latents = latent.const_data_ptr<float>();
  const auto max_code = static_cast<float>(format_.MaxCode());
  ForAllGroups(pool, [&](int64_t first, int64_t count, int64_t, const GroupGrid& grid) {
    const float scale = grid.scale;
    const auto zero_point = static_cast<float>(grid.zero_point);
    for (int64_t at = first; at < first + count; ++at) to[at] = (CodeOf(latents[at], max_code) - zero_point) * scale;
  });
}

at::Tensor GridMatrix::TakeGradient(const at::Tensor& gradient, ThreadPool& pool) const {
  at::Tensor of_stretch = at::empty_like(stretch);
  float *of_values = gradient.data_ptr<float>(), *of_stretches = of_stretch.data_ptr<float>();
  const float* latents = latent.const_data_ptr<float>();
  const auto max_code = static_cast<float>(format_.MaxCode());
  ForAllGroups(pool, [&](int64_t first, int64_t count, int64_t group, const GroupGrid& grid) {
    const float scale = grid.scale;
    const auto zero_point = static_cast<float>(grid.zero_point);
    float of_scale = 0;
    for (int64_t at = first; at < first + count; ++at) {
      const float of_value = of_values[at], code = CodeOf(latents[at], max_code);
      of_scale += of_value * (code - zero_point);
      of_values[at] = latents[at] >= -0.5f && latents[at] <= max_code + 0.5f ? of_value * scale : 0.0f;
    }
    of_stretches[group] = of_scale * begun_[static_cast<size_t>(group)].scale;
  });
  return of_stretch;
}

}  // namespace ecld
