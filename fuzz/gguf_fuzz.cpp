// Arbitrary bytes as a GGUF file: parsing either throws Error or yields values and tensors that lie inside the bytes.
// Then what an import reads from them: config, tensor table, vocabulary, tokenizer, and the small tensors' values.

#include <cstddef>
#include <cstdint>
#include <vector>

#include "checkpoint/gguf/gguf_config.h"
#include "checkpoint/gguf/gguf_tokenizer.h"
#include "checkpoint/gguf/gguf_weights.h"
#include "core/error.h"

namespace {

constexpr int64_t kSmallElements = 1 << 16;

// What one step refuses must not keep the next from being tried.
template <class Step>
void Try(Step step) {
  try {
    step();
  } catch (const ecld::Error&) {
  }
}

void ReadEverything(const ecld::GgufContents& gguf) {
  for (const auto& [key, value] : gguf.metadata) {
    Try([&value = value] { value.Number(); });
    Try([&value = value] { value.Bool(); });
    Try([&value = value] { value.String(); });
    Try([&value = value] { value.Floats(); });
    Try([&value = value] { value.Strings(); });
  }
  for (const auto& [name, tensor] : gguf.tensors) {
    if (tensor.Elements() > kSmallElements) continue;
    const ecld::GgmlTypeInfo& info = ecld::InfoOf(tensor.type);
    std::vector<float> values(static_cast<size_t>(tensor.Elements()));
    ecld::Dequantize(tensor.type, tensor.bytes.data(), tensor.Elements() / info.block_elements, values.data());
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  Try([&] {
    auto bytes = std::as_bytes(std::span(data, size));
    ecld::GgufContents gguf = ecld::ParseGguf(bytes, "fuzz.gguf");
    ReadEverything(gguf);
    Try([&] { ecld::TokenizerJson(ecld::ReadGgufVocabulary(gguf), gguf.where).dump(); });
    Try([&] {
      ecld::ModelConfig config = ecld::ReadGgufConfig(gguf, ecld::DType::kBF16);
      ecld::CheckGgufTensors(gguf, ecld::TensorTable(config));
    });
  });
  return 0;
}
