// Arbitrary bytes as a GGUF file: parsing either throws Error or yields values and tensors that lie inside the bytes.
// Then what an import reads from them: config, tensor table, vocabulary, tokenizer, and the small tensors' values. The
// bytes before and from a second magic are two parts of a split file, too.

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "checkpoint/gguf/gguf_config.h"
#include "checkpoint/gguf/gguf_metadata.h"
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

void Import(const ecld::GgufContents& gguf) {
  ReadEverything(gguf);
  Try([&] { ecld::TokenizerJson(ecld::ReadGgufVocabulary(gguf), gguf.where).dump(); });
  Try([&] {
    ecld::ModelConfig config = ecld::ReadGgufConfig(gguf, ecld::DType::kBF16);
    Try([&] { ecld::CheckGgufMetadata(gguf, config); });
    ecld::CheckGgufTensors(gguf, ecld::TensorTable(config));
  });
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  Try([&] { Import(ecld::ParseGguf(bytes, "fuzz.gguf")); });
  const size_t second = std::string_view(reinterpret_cast<const char*>(data), size).find("GGUF", 1);
  if (second == std::string_view::npos) return 0;
  Try([&] {
    std::vector<ecld::GgufContents> parts;
    parts.push_back(ecld::ParseGguf(bytes.first(second), "fuzz-00001-of-00002.gguf"));
    parts.push_back(ecld::ParseGguf(bytes.subspan(second), "fuzz-00002-of-00002.gguf"));
    Import(ecld::JoinGgufParts(std::move(parts)));
  });
  return 0;
}
