#pragma once
// A decision process of a few steps over numbered states: its best plan by backward induction, which no policy beats,
// and what a policy is worth, both exact. States and choices are 0, 1, ...; rewards are added up.

#include <functional>
#include <utility>
#include <vector>

namespace ecld::offload {

struct Outcome {
  double reward = 0;                         // expected
  std::vector<std::pair<int, double>> next;  // states of the next step and their chances, which add up to 1
};

class FiniteProcess {
 public:
  virtual ~FiniteProcess() = default;
  virtual int steps() const = 0;
  virtual int states() const = 0;
  virtual int choices() const = 0;
  // REQUIRES: the state can be reached in that step.
  virtual Outcome At(int step, int state, int choice) const = 0;
  virtual bool Reachable(int step, int state) const = 0;
};

using ChooseFunction = std::function<int(int step, int state)>;

struct SolvedProcess {
  std::vector<std::vector<double>> value;  // [steps + 1][states]; of the rest of the process
  std::vector<std::vector<int>> best;      // [steps][states]; of choices worth the same the lowest
};
SolvedProcess Solve(const FiniteProcess& process);
// The same of a policy: its value, and what it chooses.
SolvedProcess Evaluate(const FiniteProcess& process, const ChooseFunction& choose);

}  // namespace ecld::offload
