#pragma once
// The gradient of a student's loss on some windows, by all of its parameters. Forward it is run by the kernels that
// ship, and only the states that enter each block are kept; on the way back each block is run again with its graph,
// which is gone before the next one's is made (Chen et al. 2016, arXiv 1604.06174, section 4). The vocabulary has a
// way back of its own (vocabulary_loss.h).

#include <ATen/core/Tensor.h>

#include "distill/student.h"
#include "distill/vocabulary_loss.h"

namespace ecld {

class StudentGradient {
 public:
  // All must outlive this.
  StudentGradient(Student& student, const LossOptions& loss, ThreadPool& pool)
      : student_(student), loss_(loss), kernels_(student.config(), pool), ops_(student.config().dtype) {}

  // Adds that of the summed loss times scale to the gradients of the student; returns the sum. ids: [windows, tokens];
  // teacher: of the same tokens.
  double Add(const at::Tensor& ids, const Predicting& teacher, double scale);

 private:
  Student& student_;
  const LossOptions& loss_;
  BlockKernels kernels_;
  TorchOps ops_;
};

}  // namespace ecld
