#include "core/metric_table.h"

#include <algorithm>

namespace ecld {
namespace {

constexpr MetricRow kMetrics[] = {
    {.name = "perplexity",
     .kinds = "continuation",
     .higher_is_better = false,
     .share = false,
     .of_profile = "ppl",
     .charted = true},
    {.name = "acc",
     .kinds = "choice|continuation",
     .of_profile = "acc",
     .judges = Judges::kRightIsOne,
     .charted = true},
    {.name = "acc_norm", .kinds = "choice", .of_profile = "acc"},
    {.name = "acc_bytes", .kinds = "choice", .of_profile = "acc"},
    {.name = "acc_tok", .kinds = "choice", .of_profile = "acc"},
    {.name = "brier_score", .kinds = "choice", .higher_is_better = false, .share = false},
    {.name = "mc2", .kinds = "choice", .needs = "labels"},
    {.name = "balanced_error",
     .kinds = "choice",
     .needs = "cue",
     .higher_is_better = false,
     .judges = Judges::kWrongIsOne},
    {.name = "auroc", .with = "balanced_error"},
    {.name = "auroc_of_cue_alone", .with = "balanced_error"},
    {.name = "yes_rate", .with = "balanced_error"},
    {.name = "word_perplexity",
     .kinds = "rolling",
     .needs = "raw",
     .higher_is_better = false,
     .share = false,
     .of_profile = "ppl",
     .charted = true},
    {.name = "byte_perplexity",
     .kinds = "rolling",
     .needs = "raw",
     .higher_is_better = false,
     .share = false,
     .of_profile = "ppl"},
    {.name = "bits_per_byte",
     .kinds = "rolling",
     .needs = "raw",
     .unit = "bit/B",
     .higher_is_better = false,
     .share = false},
    {.name = "exact_match", .kinds = "generate", .of_profile = "acc", .judges = Judges::kRightIsOne},
    {.name = "abstain_rate", .kinds = "generate"},
    {.name = "answer_words", .kinds = "generate", .unit = "word", .share = false},
    {.name = "inconsistency",
     .kinds = "generate",
     .needs = "more_texts",
     .unit = "nat/word",
     .higher_is_better = false,
     .share = false},
};

constexpr FigureRow kFigures[] = {
    {.as = {.name = "imitative_falsehood", .higher_is_better = false, .of_profile = "halluc_rate", .charted = true},
     .of = "mc2",
     .complement = true,
     .headline = true},
    {.as = {.name = "imitative_falsehood_mc1", .higher_is_better = false, .of_profile = "halluc_rate"},
     .of = "acc",
     .complement = true},
    {.as = {.name = "recognition_error", .higher_is_better = false, .of_profile = "halluc_rate"},
     .of = "balanced_error",
     .headline = true},
    {.as = {.name = "wrong_answer", .higher_is_better = false, .of_profile = "halluc_rate"}, .of = ""},
    {.as = {.name = "auroc_of_length_alone"}, .of = "auroc_of_cue_alone"},
    {.as = {.name = "inconsistency", .unit = "nat/word", .higher_is_better = false, .share = false},
     .of = "inconsistency"},
    {.as = {.name = "abstain_rate", .of_profile = "abstain_frac"}, .of = "abstain_rate", .headline = true},
    {.as = {.name = "answer_words", .unit = "word", .share = false}, .of = "answer_words"},
};

}  // namespace

std::span<const MetricRow> MetricTable() { return kMetrics; }
std::span<const FigureRow> FigureTable() { return kFigures; }

bool IsOfKind(const MetricRow& row, std::string_view kind) {
  for (std::string_view left = row.kinds; !left.empty();
       left.remove_prefix(std::min(left.size(), left.find('|') + 1))) {
    if (left.substr(0, left.find('|')) == kind) return true;
    if (left.find('|') == left.npos) return false;
  }
  return false;
}

const MetricRow* FindMetric(std::string_view name) {
  name = name.substr(0, name.find(','));
  for (const MetricRow& row : kMetrics)
    if (row.name == name) return &row;
  return nullptr;
}

bool JudgesItems(const FigureRow& row) { return row.of.empty() || FindMetric(row.of)->judges != Judges::kNot; }

const FigureRow* FindFigure(std::string_view name) {
  for (const FigureRow& row : kFigures)
    if (row.as.name == name) return &row;
  return nullptr;
}

}  // namespace ecld
