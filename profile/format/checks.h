#pragma once
// The rules that hold between the tables of a profile. One function per rule in checks.cpp, in the order of this list:
//   every table has rows, and "absent" is not said of one that is there
//   the weights of a complete set of layers sum to variant.file_B
//   kv_B of a phase row is batch * (prompt_tok + gen_tok) * the layers' kv_B_per_tok
//   the times of a complete set of layers sum to prefill_ms of the same shape within 10 %, else layers is partial
//   the layers' up_B of a cut is batch * tok * d_model * bytes of dtype; ids at cut 0, nothing at the last one
//   a quality value lies in its interval, and so does the accuracy of a bin; shares are at most 1
//   the bins of a task and aggregate hold as many answers as uncertainty_items has of the task
//   joules of a phase row are its mean power times its time within 5 %, where idle power is not taken off
//   no phase row keeps limits.oom_at tokens or more in its caches
//   more prompt tokens take more time (a warning only: machines are noisy)

#include "profile/format/profile.h"

namespace ecld {

// THROWS Error where a rule is broken, naming table and row; may turn the status of layers to partial.
void CheckProfile(DeviceProfile& profile);

}  // namespace ecld
