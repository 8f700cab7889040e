#include "kernels/packing/packed_format.h"

#include "core/error.h"

namespace ecld {

std::string PackedFormat::Name() const {
  std::string group = group_size > 0 ? fmt::format("g{}", group_size) : "row";
  return fmt::format("W{} {} {}", bits, group, symmetric ? "sym" : "asym");
}

void CheckFormat(const PackedFormat& format, const std::string& where) {
  if (format.bits < 2 || format.bits == 7 || format.bits > 8)
    Fail(where, "bits is {}, must be 2 to 6 or 8", format.bits);
  if (format.group_size < 0 || format.group_size % 8 != 0 || format.group_size > (int64_t{1} << 30))
    Fail(where, "group_size is {}, must be 0 (the whole row) or a positive multiple of 8 up to 2^30",
         format.group_size);
}

}  // namespace ecld
