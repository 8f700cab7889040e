#pragma once
// What a scheduler asks that cuts a model in two: the time of the layers on either side, what crosses the cut, and what
// the model is worth when that is damaged. Cut c: the layers below c run on the device, the others elsewhere; the
// embedding goes with the first of them, final norm and head with the last.

#include <cstdint>
#include <string_view>

#include "profile/query/estimate.h"

namespace ecld {

struct DeviceProfile;

enum class Phase { kPrefill, kDecode };

// The figure in `column` of layers.csv for a layer ("embed", "0" .. "L-1", "head"): of a prompt of length_tok tokens,
// or of one token after a context of length_tok. Bilinear in (log length, log batch). THROWS Error: no such column of
// numbers; length_tok or batch below 1.
Estimate LookUpLayer(const Table& layers, std::string_view column, std::string_view layer, Phase phase,
                     double length_tok, double batch);

// The sum of it over the layers between two cuts; src the weakest, in_range when all are. Between cuts that are the
// same there is nothing: 0. THROWS Error as LookUpLayer does, and where not 0 <= from_cut <= to_cut <= n_layers.
Estimate LookUpPart(const DeviceProfile& profile, std::string_view column, int64_t from_cut, int64_t to_cut,
                    Phase phase, double length_tok, double batch);

// The figure in `column` of cuts.csv. Bilinear in (tokens, batch), which is exact for what is counted in both. dtype
// ("f16"): of what is sent; where only token ids are sent, or nothing, it counts nothing.
// THROWS Error: no such column of numbers.
Estimate LookUpCut(const Table& cuts, std::string_view column, int64_t cut, std::string_view dtype, double tok,
                   double batch);

// The figure in `column` of split_quality.csv for damage of a kind ("dropout") at a level. Bilinear in (cut, level)
// between those that were measured. THROWS Error: no such column of numbers.
Estimate LookUpSplitQuality(const Table& split_quality, std::string_view column, double cut,
                            std::string_view corruption, double level);

}  // namespace ecld
