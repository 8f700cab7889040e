#pragma once
// All parameters of a model as one vector, of which its matrices are views: one gradient, one step of Adam (Kingma and
// Ba 2015), three tensors to save.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "core/random.h"
#include "offload/named_arrays.h"

namespace ecld::offload {

class Parameters {
 public:
  Parameters(const std::vector<at::Tensor>& parts, at::ScalarType type);

  const at::Tensor& all() const { return all_; }            // [all]
  const at::Tensor& gradient() const { return gradient_; }  // [all]
  // The parts, without gradients; and of the gradient.
  const std::vector<at::Tensor>& views() const { return views_; }
  const std::vector<at::Tensor>& gradients() const { return gradients_; }

  // The parts as autograd takes them: what is traced back to them is added to the gradient.
  std::vector<at::Tensor> Leaves() const;

  // A step down the gradient, which is shortened to this norm and is 0 after. Returns the norm before; where it is not
  // finite, nothing was done.
  double Descend(double rate, double most_norm);

  // All but the gradient, by names that begin with prefix.
  void Save(const std::string& prefix, NamedArrays* state) const;
  void Restore(const std::string& prefix, const NamedArrays& state);  // THROWS Error: of other sizes

 private:
  std::vector<at::Tensor> PartsOf(const at::Tensor& all) const;

  std::vector<std::vector<int64_t>> shapes_;
  std::vector<int64_t> sizes_;
  at::Tensor all_, gradient_, first_moment_, second_moment_, descents_;
  std::vector<at::Tensor> views_, gradients_;
};

// [outputs, inputs], rows or columns orthogonal, of this length.
at::Tensor OrthogonalMatrix(int64_t outputs, int64_t inputs, double length, Random& random);

}  // namespace ecld::offload
