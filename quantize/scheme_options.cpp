#include "quantize/scheme_options.h"

#include "core/error.h"

namespace ecld {
namespace {

// A mapping that, when it is there, gives a format of its own; what it leaves out is as in fallback.
std::optional<PackedFormat> ReadOwnFormat(Options& options, const std::string& key, const std::string& help,
                                          const PackedFormat& fallback) {
  if (!options.Has(key, "a mapping of bits, group_size, symmetric; without it, dense", help)) return std::nullopt;
  Options own = options.Map(key);
  PackedFormat format = ReadFormat(own, fallback);
  own.Finish();
  return format;
}

SchemeOverride ReadOverride(Options options, const PackedFormat& fallback) {
  if (!options.Has("match")) Fail(options.Where(), "names no matrices, like match: \"*.mlp.down_proj\"");
  SchemeOverride override;
  override.match = options.String("match", "", "module names, with * for anything, or re: and a regular expression");
  if (!options.Bool("dense", false, "keep these matrices as they are")) override.format = ReadFormat(options, fallback);
  options.Finish();
  return override;
}

}  // namespace

PackedFormat ReadFormat(Options& options, const PackedFormat& fallback) {
  PackedFormat format;
  format.bits = static_cast<int>(options.Int("bits", fallback.bits, 2, 8, "bits of a weight's code"));
  format.group_size =
      options.Int("group_size", fallback.group_size, 0, 1 << 20, "inputs that share a scale; 0: a whole row");
  format.symmetric =
      options.Bool("symmetric", fallback.symmetric, "codes around zero; false: each group has a zero point too");
  CheckFormat(format, options.Where());
  return format;
}

Clip ReadClip(Options& options, const std::string& fallback) {
  return options.Choice("clip", fallback, {"minmax", "mse"},
                        "a group's range: its extremes, or shrunk where that lowers the squared error") == "mse"
             ? Clip::kMse
             : Clip::kMinMax;
}

Scheme ReadScheme(Options& options) {
  Scheme scheme;
  scheme.format = ReadFormat(options, scheme.format);
  scheme.embeddings =
      ReadOwnFormat(options, "embeddings", "pack the embedding, and the head tied to it", scheme.format);
  scheme.lm_head = ReadOwnFormat(options, "lm_head", "pack a head that is not tied", scheme.format);
  for (const Options& item : options.List(
           "overrides",
           "matrices by name with a format of their own: match, and bits, group_size, symmetric, or dense: true"))
    scheme.overrides.push_back(ReadOverride(item, scheme.format));
  return scheme;
}

}  // namespace ecld
