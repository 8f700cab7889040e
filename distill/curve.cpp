#include "distill/curve.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

#include "core/error.h"

namespace ecld {
namespace {

constexpr int64_t kValues = 5;  // of a point, beside the texts

double Ratio(double now, double first) {
  if (first > 0) return now / first;
  return now > first ? std::numeric_limits<double>::infinity() : 1;
}

std::string Change(double now, double first) { return fmt::format("{:+.1f} %", 100 * (Ratio(now, first) - 1)); }

// A number or null.
Json Known(double value) { return std::isfinite(value) ? Json(value) : Json(nullptr); }

}  // namespace

Curve::Curve(std::vector<std::string> texts, int64_t capacity)
    : texts_(std::move(texts)),
      table_(
          at::full({capacity, kValues + std::ssize(texts_)}, std::numeric_limits<double>::quiet_NaN(), at::kDouble)) {}

bool Curve::Add(const Point& point) {
  const auto place = std::ssize(Points());
  assert(place < capacity());
  double* row = table_.data_ptr<double>() + place * table_.size(1);
  for (const double value : {static_cast<double>(point.step), static_cast<double>(point.tokens), point.rate,
                             point.train_loss, point.seconds})
    *row++ = value;
  std::ranges::copy(point.held_out, row);
  return best().step == point.step;
}

std::vector<Curve::Point> Curve::Points() const {
  std::vector<Point> points;
  const double* row = table_.const_data_ptr<double>();
  for (int64_t i = 0; i < capacity() && !std::isnan(row[0]); ++i, row += table_.size(1))
    points.push_back({static_cast<int64_t>(row[0]),
                      static_cast<int64_t>(row[1]),
                      row[2],
                      row[3],
                      row[4],
                      {row + kValues, row + table_.size(1)}});
  return points;
}

double Curve::Score(const Point& point) const {
  const std::vector<double> first = Points().front().held_out;
  double sum = 0;
  for (size_t text = 0; text < first.size(); ++text) sum += Ratio(point.held_out[text], first[text]);
  return sum / static_cast<double>(first.size());
}

Curve::Point Curve::best() const {
  const std::vector<Point> points = Points();
  return *std::ranges::min_element(points, {}, [&](const Point& point) { return Score(point); });
}

Curve::Point Curve::back() const { return Points().back(); }

std::string Curve::Describe() const {
  const std::vector<double> first = Points().front().held_out, now = back().held_out;
  std::string text;
  for (size_t i = 0; i < texts_.size(); ++i)
    text += fmt::format("{}{} {:.4f} ({})", i > 0 ? ", " : "held-out ", texts_[i], now[i], Change(now[i], first[i]));
  return text;
}

std::string Curve::Csv() const {
  std::string csv = "step,tokens,rate,train_loss,seconds";
  for (const std::string& text : texts_) csv += ",\"" + text + "\"";
  for (const Point& point : Points()) {
    const std::string train_loss = std::isnan(point.train_loss) ? "" : fmt::format("{:.6g}", point.train_loss);
    csv += fmt::format("\n{},{},{:.6g},{},{:.3f}", point.step, point.tokens, point.rate, train_loss, point.seconds);
    for (const double loss : point.held_out) csv += fmt::format(",{:.6g}", loss);
  }
  return csv + "\n";
}

Json Curve::ToJson() const {
  Json points = Json::array();
  for (const Point& point : Points())
    points.push_back({{"step", point.step},
                      {"tokens", point.tokens},
                      {"rate", point.rate},
                      {"train_loss", Known(point.train_loss)},
                      {"time_s", point.seconds},
                      {"held_out", point.held_out}});
  return points;
}

void Curve::AddRows(ReportRows& rows, bool kept) const {
  const std::vector<double> first = Points().front().held_out, now = best().held_out;
  for (size_t text = 0; text < texts_.size(); ++text) {
    Json row = {{"text", texts_[text]}, {"before", first[text]}, {"after", now[text]}};
    if (!kept)
      row["degraded"] = "not trained: no state was better on the held-out texts, so the model stays as it was";
    else if (now[text] > first[text])
      row["degraded"] = "worse than before training, while the held-out texts together are better";
    rows.Add("held-out " + texts_[text], std::move(row));
  }
}

}  // namespace ecld
