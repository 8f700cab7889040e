// One module of a checkpoint that another program quantized: refused with an Error, or finite or non-finite weights of
// all its rows, as codes and as floats alike where it has codes. The input: a line of JSON, the quantization_config;
// then the bytes of a safetensors file with the tensors of a module "m" of 32 outputs and 64 inputs.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include "checkpoint/foreign/matrix.h"
#include "core/error.h"
#include "core/json.h"

namespace {

using namespace ecld;

void ReadAll(ForeignMatrix& matrix) {
  matrix.Load();
  std::vector<float> values(static_cast<size_t>(matrix.in_features()));
  std::vector<uint8_t> codes(values.size());
  for (int64_t row = 0; row < matrix.out_features(); ++row) {
    matrix.ReadRow(row, values.data());
    const auto format = matrix.Packed();
    if (!format) continue;
    matrix.ReadCodes(row, codes.data());
    for (size_t i = 0; i < codes.size(); ++i) {
      const auto group = static_cast<int64_t>(i) / format->GroupSize(matrix.in_features());
      const int zero = matrix.zeros().empty()
                           ? format->MidCode()
                           : matrix.zeros()[static_cast<size_t>(group * matrix.out_features() + row)];
      if (codes[i] > format->MaxCode() || zero > format->MaxCode()) std::abort();
      if (static_cast<float>(codes[i] - zero) * matrix.scales().At(row, group) != values[i]) std::abort();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const size_t line = text.find('\n');
  if (line == std::string_view::npos) return 0;
  try {
    const Json json = ParseJson(text.substr(0, line), "input");
    const ForeignConfig config = ParseForeignConfig(JsonView(json, "input"));
    const ForeignScheme* scheme = config.SchemeOf({"m"}, "Linear");
    if (!scheme) return 0;
    TensorMap tensors;
    std::map<std::string, std::string> metadata;
    ParseSafetensors(std::as_bytes(std::span(data + line + 1, size - line - 1)), "input", &tensors, &metadata);
    const TensorSpec spec{"m", "m.weight", {32, 64}, Role::kUp, 0};
    if (const auto matrix = MakeMatrix(ModuleTensors(spec, tensors, "input"), *scheme)) ReadAll(*matrix);
  } catch (const Error&) {
  }
  return 0;
}
