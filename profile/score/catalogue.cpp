#include "profile/score/catalogue.h"

#include <set>

#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/options.h"
#include "core/yaml_reader.h"

namespace ecld {
namespace {

constexpr double kGiga = 1e9, kTera = 1e12;

std::string Required(Options& options, const std::string& key) {
  std::string value = options.String(key, "");
  if (value.empty()) Fail(options.Where(), "\"{}\" is missing", key);
  return value;
}

std::optional<double> Positive(Options& options, const std::string& key, double scale) {
  if (!options.Has(key)) return std::nullopt;
  const double value = options.Number(key, 0, 0, 1e9);
  if (value <= 0) Fail(options.Where(key), "found {}, expected more than 0; leave out what is not known", value);
  return value * scale;
}

EnergyCoefficients ReadEnergy(Options options) {
  EnergyCoefficients energy{.static_W = options.Number("static_W", 0, 0, 1e4),
                            .J_per_B = options.Number("J_per_B", 0, 0, 1),
                            .J_per_op = options.Number("J_per_op", 0, 0, 1),
                            .error_frac = options.Number("error_frac", 0, 0, 10)};
  if (energy.static_W + energy.J_per_B + energy.J_per_op <= 0)
    Fail(options.Where(), "needs a coefficient above 0: static_W, J_per_B, J_per_op");
  options.Finish();
  return energy;
}

CatalogueDevice ReadDevice(Options options) {
  CatalogueDevice device{.id = Required(options, "id"), .name = Required(options, "name")};
  device.kind = options.Choice("kind", "", {"phone", "board", "laptop", "accelerator"});
  const auto mem_B = Positive(options, "mem_GB", kGiga);
  if (!mem_B) Fail(options.Where(), "\"mem_GB\" is missing");
  device.mem_B = *mem_B;
  device.mem_Bps = Positive(options, "mem_GBps", kGiga);
  device.fp16_flops = Positive(options, "fp16_TFLOPS", kTera);
  device.power_W = Positive(options, "power_W", 1);
  if (options.Has("energy")) device.energy = ReadEnergy(options.Map("energy"));
  device.sources = options.Strings("sources", {});
  if (device.sources.empty())
    Fail(options.Where(), "\"sources\" is missing: where the figures of {} are from", device.id);
  options.Finish();
  return device;
}

}  // namespace

const CatalogueDevice& DeviceCatalogue::Find(std::string_view id) const {
  std::vector<std::string> known;
  for (const CatalogueDevice& device : devices) {
    if (device.id == id) return device;
    known.push_back(device.id);
  }
  Fail(file, "has no device \"{}\"{}", id, DidYouMean(id, known));
}

DeviceCatalogue ParseCatalogue(std::string_view yaml, const std::string& where) {
  Options options(ReadYaml(yaml, where), where, "");
  options.Int("version", 1, 1, 1);
  DeviceCatalogue catalogue{.file = where, .sha256 = Sha256Hex(yaml)};
  std::set<std::string> ids;
  for (Options& entry : options.List("devices")) {
    const std::string place = entry.Where();
    catalogue.devices.push_back(ReadDevice(entry));
    if (!ids.insert(catalogue.devices.back().id).second)
      Fail(place, "a second device is called \"{}\"", catalogue.devices.back().id);
  }
  if (catalogue.devices.empty()) Fail(where, "names no device");
  options.Finish();
  return catalogue;
}

DeviceCatalogue ReadCatalogue(const std::filesystem::path& file) {
  if (!file.empty()) return ParseCatalogue(ReadTextFile(file), file.string());
  const ShippedCatalogueFile& shipped = ShippedCatalogueFiles().front();
  return ParseCatalogue(shipped.yaml, std::string(shipped.name) + ".yaml");
}

}  // namespace ecld
