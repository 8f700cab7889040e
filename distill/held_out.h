#pragma once
// Texts that a training run never sees and is judged by: the loss of the student as it would be read back, for each
// text. What the teacher says of them is asked once.

#include <ATen/core/Tensor.h>

#include <string>
#include <vector>

#include "distill/student.h"
#include "distill/teacher.h"
#include "distill/vocabulary_loss.h"
#include "model/pass.h"

namespace ecld {

struct HeldOutText {
  std::string name;
  std::vector<std::vector<int32_t>> windows;
};

// Windows spread evenly over files (text_source.h) by the tokenizer of a model. THROWS Error: what ReadTexts throws; a
// text of fewer tokens; an id that the model's vocabulary does not have.
std::vector<HeldOutText> ReadHeldOut(const std::vector<std::string>& files, int64_t windows, int64_t window_tok,
                                     const Checkpoint& model);

class HeldOut {
 public:
  HeldOut(const std::vector<HeldOutText>& texts, const Teacher& teacher);

  std::vector<std::string> Names() const;
  // Nats per token, of each text.
  std::vector<double> Losses(const LossOptions& options, const Student& student, ThreadPool& pool) const;

 private:
  struct Text {
    std::string name;
    at::Tensor ids;     // [windows, tokens]
    at::Tensor wanted;  // Teacher::States
  };

  const Teacher& teacher_;
  std::vector<Text> texts_;
};

}  // namespace ecld
