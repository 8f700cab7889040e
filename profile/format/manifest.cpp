#include "profile/format/manifest.h"

#include <cmath>
#include <string>
#include <string_view>

#include "core/error.h"
#include "profile/format/schema.h"

namespace ecld {
namespace {

enum class Kind { kText, kNumber, kCount, kFlag, kObject, kList, kLayerList };

struct Key {
  std::string_view path;
  Kind kind;
  bool may_be_null = false;
};

constexpr bool kOrNull = true;

constexpr Key kKeys[] = {
    {"created_utc", Kind::kText},
    {"tool.name", Kind::kText},
    {"tool.version", Kind::kText},
    {"tool.git", Kind::kText, kOrNull},
    {"device.id", Kind::kText},
    {"device.vendor", Kind::kText, kOrNull},
    {"device.name", Kind::kText},
    {"device.kind", Kind::kText},
    {"device.compute_capability", Kind::kText, kOrNull},
    {"device.mem_capacity_B", Kind::kCount},
    {"device.mem_bw_Bps", Kind::kNumber, kOrNull},
    {"device.peak_fp16_flops", Kind::kNumber, kOrNull},
    {"device.tdp_W", Kind::kNumber, kOrNull},
    {"device.idle_W", Kind::kNumber, kOrNull},
    {"device.driver", Kind::kText, kOrNull},
    {"device.runtime", Kind::kText, kOrNull},
    {"device.clock_state.locked", Kind::kFlag, kOrNull},
    {"device.clock_state.sm_MHz", Kind::kNumber, kOrNull},
    {"device.clock_state.mem_MHz", Kind::kNumber, kOrNull},
    {"device.power_cap_W", Kind::kNumber, kOrNull},
    {"device.role", Kind::kText},
    {"variant.id", Kind::kText},
    {"variant.base_model", Kind::kText, kOrNull},
    {"variant.recipe_sha256", Kind::kText, kOrNull},
    {"variant.weights_sha256", Kind::kText},
    {"variant.arch.n_layers", Kind::kCount},
    {"variant.arch.d_model", Kind::kCount},
    {"variant.arch.n_head", Kind::kLayerList},
    {"variant.arch.n_kv_head", Kind::kLayerList},
    {"variant.arch.d_ff", Kind::kLayerList},
    {"variant.arch.vocab", Kind::kCount},
    {"variant.arch.tie_embeddings", Kind::kFlag},
    {"variant.quant.bits", Kind::kNumber},
    {"variant.quant.group", Kind::kCount, kOrNull},
    {"variant.quant.sym", Kind::kFlag, kOrNull},
    {"variant.quant.zero_point", Kind::kFlag, kOrNull},
    {"variant.quant.embed_bits", Kind::kNumber},
    {"variant.quant.head_bits", Kind::kNumber},
    {"variant.quant.kv_bits", Kind::kNumber},
    {"variant.params", Kind::kCount},
    {"variant.file_B", Kind::kCount},
    {"variant.parent_variant", Kind::kText, kOrNull},
    {"provenance.kinds", Kind::kObject},
    {"provenance.timer", Kind::kText},
    {"provenance.warmup", Kind::kCount},
    {"provenance.reps", Kind::kCount},
    {"provenance.stat", Kind::kText},
    {"provenance.power_source", Kind::kText},
    {"provenance.power_scope", Kind::kText, kOrNull},
    {"provenance.datasets", Kind::kList},
    {"provenance.seed", Kind::kCount, kOrNull},
    {"fit", Kind::kObject},
    {"limits.max_batch", Kind::kCount, kOrNull},
    {"limits.max_ctx_tok", Kind::kCount, kOrNull},
    {"limits.oom_at", Kind::kCount, kOrNull},
    {"tables", Kind::kObject},
};

JsonView Descend(JsonView view, std::string_view path) {
  while (!path.empty()) {
    std::string_view key = path.substr(0, path.find('.'));
    view = view.At(key);
    path.remove_prefix(std::min(path.size(), key.size() + 1));
  }
  return view;
}

double Finite(const JsonView& view) {
  double number = view.Number();
  if (!std::isfinite(number) || number < 0) Fail(view.Where(), "expected a finite number, 0 or more, found {}", number);
  return number;
}

void CheckKind(const JsonView& view, Kind kind, int64_t layers) {
  switch (kind) {
    case Kind::kText:
      view.String();
      break;
    case Kind::kNumber:
      Finite(view);
      break;
    case Kind::kCount:
      if (view.Int() < 0) Fail(view.Where(), "expected an integer, 0 or more, found {}", view.Int());
      break;
    case Kind::kFlag:
      view.Bool();
      break;
    case Kind::kObject:
      view.Keys();
      break;
    case Kind::kList:
      view.Size();
      break;
    case Kind::kLayerList:
      if (view.Size() != static_cast<size_t>(layers))
        Fail(view.Where(), "has {} elements, one for each of the {} layers would be right", view.Size(), layers);
      for (size_t i = 0; i < view.Size(); ++i) CheckKind(view.At(i), Kind::kCount, layers);
      break;
  }
}

}  // namespace

void CheckManifest(const JsonView& manifest) {
  RequireKind(manifest, kProfileDocument);
  int64_t layers = Descend(manifest, "variant.arch.n_layers").Int();
  for (const Key& key : kKeys) {
    JsonView view = Descend(manifest, key.path);
    if (key.may_be_null && view.json().is_null()) continue;
    CheckKind(view, key.kind, layers);
  }
}

}  // namespace ecld
