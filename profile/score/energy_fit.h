#pragma once
// Coefficients of energy out of measured rows: J = static_W * seconds + J_per_B * bytes read + J_per_op * operations.
// With them a device file models what nobody measured; how far off that may be is in them too.

#include <optional>
#include <span>
#include <vector>

#include "profile/format/profile.h"
#include "profile/score/catalogue.h"

namespace ecld {

struct EnergyPoint {
  double seconds = 0, bytes = 0, ops = 0, joules = 0;
};

double Joules(const EnergyCoefficients& energy, const EnergyPoint& work);

// What a row of phase.csv took: its prompt, or one step of all its sequences; bytes and operations as layers.csv counts
// them for its shape. Absent where its time or its layers are not there. joules is left at 0.
enum class Work { kPrompt, kStep };
std::optional<EnergyPoint> WorkOfRow(const DeviceProfile& profile, size_t row, Work work);

// A prompt and a step of every row of phase.csv whose energy was measured, idle power included, with the bytes and
// operations that layers.csv counts for its shape.
std::vector<EnergyPoint> MeasuredEnergy(const DeviceProfile& profile);

inline constexpr size_t kFewestEnergyPoints = 5;

// The coefficients, none below zero, with the least squares of relative errors. error_frac: the mean relative error at
// a point of the fit to the others (leave one out). Absent with fewer than kFewestEnergyPoints.
std::optional<EnergyCoefficients> FitEnergy(std::span<const EnergyPoint> points);

}  // namespace ecld
