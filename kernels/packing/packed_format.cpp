#include "kernels/packing/packed_format.h"

#include "core/error.h"

namespace ecld {

namespace {

bool HasBits(int bits) { return bits >= 2 && bits != 7 && bits <= 8; }
bool HasGroups(int64_t size) { return size >= 0 && size % 8 == 0 && size <= (int64_t{1} << 30); }

}  // namespace

std::string PackedFormat::Name() const {
  std::string group = group_size > 0 ? fmt::format("g{}", group_size) : "row";
  return fmt::format("W{} {} {}", bits, group, symmetric ? "sym" : "asym");
}

bool IsFormat(const PackedFormat& format) { return HasBits(format.bits) && HasGroups(format.group_size); }

void CheckFormat(const PackedFormat& format, const std::string& where) {
  if (!HasBits(format.bits)) Fail(where, "bits is {}, must be 2 to 6 or 8", format.bits);
  if (!HasGroups(format.group_size))
    Fail(where, "group_size is {}, must be 0 (the whole row) or a positive multiple of 8 up to 2^30",
         format.group_size);
}

}  // namespace ecld
