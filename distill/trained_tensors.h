#pragma once
// Parameters in training: each in float32 with its gradient and the moments of AdamW (Loshchilov and Hutter 2019, arXiv
// 1711.05101, algorithm 2), matrices that the checkpoint packs inside their grids. What is run are the parameters as
// they stand; what is judged and written, those that the file can hold.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "checkpoint/checkpoint_writer.h"
#include "distill/grid_matrix.h"

namespace ecld {

class Options;

// Highest rates of AdamW: steps are about as long.
struct LearningRates {
  double weights = 0;  // of what is stored dense
  double codes = 0;    // of latent codes, in steps of the grid
  double scales = 0;   // of scales, relative
  double weight_decay = 0;
};

// Reads train, code_rate and scale_rate: those of what lies on a grid.
void ReadGridRates(Options& options, LearningRates& rates);

// Of the rates, before step [0, steps): up in the first share of warm_up, then down as a cosine, to zero.
double RateAt(int64_t step, int64_t steps, double warm_up);

// A tensor of a checkpoint in float32. THROWS Error when a weight of a matrix is NaN or infinite.
at::Tensor ReadForTraining(const Checkpoint& in, const TensorSpec& spec);

class TrainedTensors {
 public:
  explicit TrainedTensors(ThreadPool& pool);

  struct Parameter {
    TensorSpec spec;
    at::Tensor value;     // a leaf of autograd
    at::Tensor gradient;  // value's
    std::optional<GridMatrix> grid;
  };

  // value: of a tensor of `in`, changed in place from here on. begun_as: GridMatrix's `dense`, of what is packed.
  void Add(const Checkpoint& in, const TensorSpec& spec, const at::Tensor& value, const at::Tensor& begun_as = {});

  const std::vector<Parameter>& all() const { return parameters_; }  // in the order in which they were added

  // Steps down the gradients, which are zero afterwards. rate: the share of the rates. Rates of zero train nothing.
  void Step(const LearningRates& rates, double rate);

  // All that training changes: parameters alone, or with moments and count of steps. The tensors share storage with
  // these; after they were written to, Refresh.
  std::vector<at::Tensor> State(bool with_moments) const;
  void Refresh();

  // Writes what out does not hold yet.
  void Write(CheckpointWriter& out) const;

  // For plans: parameters, gradients and moments of a tensor.
  static uint64_t Bytes(const TensorSpec& spec);

 private:
  // What AdamW changes: a parameter, or the two of a grid.
  struct Trained {
    double LearningRates::*rate;
    bool decays;
    at::Tensor value, first_moment, second_moment;
  };

  void Train(const at::Tensor& value, double LearningRates::*rate, bool decays);

  ThreadPool& pool_;
  std::vector<Parameter> parameters_;
  std::vector<Trained> trained_;  // of the parameters, in their order
  at::Tensor steps_;              // taken; [] float
};

}  // namespace ecld
