#pragma once
// The curve of a training run: what the held-out texts said, before the first step and from then on. It knows which
// point is the best: the one with the least mean over the texts of the loss relative to that before the first step, so
// that a text with large losses does not decide for all.

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <string>
#include <vector>

#include "model/report_rows.h"

namespace ecld {

class Curve {
 public:
  struct Point {
    int64_t step = 0, tokens = 0;  // trained on so far
    double rate = 0;               // share of the learning rates, of the next step
    double train_loss = 0;         // mean since the last point; NaN in the first
    double seconds = 0;            // of the steps since then
    std::vector<double> held_out;  // of each text
  };

  Curve(std::vector<std::string> texts, int64_t capacity);

  int64_t capacity() const { return table_.size(0); }
  // All that a curve holds, for a saved state: [capacity, values of a point] float64.
  const at::Tensor& table() const { return table_; }

  // Returns whether it is the best so far. REQUIRES: room is left.
  bool Add(const Point& point);
  std::vector<Point> Points() const;
  Point best() const;  // REQUIRES: there is one
  Point back() const;  // the last one; REQUIRES: there is one

  std::string Describe() const;  // of the last point, for people: "wiki.txt 0.345 (-13 %), code.txt 0.4 (+1 %)"
  std::string Csv() const;
  Json ToJson() const;
  // A row of the report for each text, which says where it was not helped by training that was kept.
  void AddRows(ReportRows& rows, bool kept) const;

 private:
  double Score(const Point& point) const;  // of the first: 1

  std::vector<std::string> texts_;
  at::Tensor table_;  // rows that are not filled yet are NaN
};

}  // namespace ecld
