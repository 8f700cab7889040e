// Writes the logits that the runtime computes for given token ids, for comparison with other software.
//   dump_logits <checkpoint directory> <ids: raw int32> <out: raw float32 [n, vocab_size]> [--decode]
// --decode runs token by token over the cache instead of the whole text at once.

#include <cstdio>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"
#include "core/files.h"
#include "runtime/session.h"

namespace ecld {
namespace {

std::vector<int32_t> ReadIds(const char* path) {
  const std::string bytes = ReadFile(path);
  if (bytes.size() % 4 != 0) Fail(path, "holds {} bytes, must be a whole number of int32", bytes.size());
  std::vector<int32_t> ids(bytes.size() / 4);
  std::memcpy(ids.data(), bytes.data(), bytes.size());
  return ids;
}

void DumpLogits(const char* directory, const char* ids_path, const char* out_path, bool decode) {
  const RuntimeModel model(Checkpoint::Open(directory));
  ThreadPool pool;
  Session session(model, pool);
  const std::vector<int32_t> ids = ReadIds(ids_path);
  const auto vocab = static_cast<size_t>(model.config().vocab_size);
  std::vector<float> logits(ids.size() * vocab);
  KvCache cache(model);
  const size_t step = decode ? 1 : ids.size();
  for (size_t i = 0; i < ids.size(); i += step)
    session.Logits(session.Forward({{&cache, std::span(ids).subspan(i, step)}}),
                   std::span(logits).subspan(i * vocab, step * vocab));
  WriteFileAtomically(out_path, {reinterpret_cast<const char*>(logits.data()), logits.size() * sizeof(float)});
}

}  // namespace
}  // namespace ecld

int main(int argc, char** argv) {
  const bool decode = argc == 5 && std::string_view(argv[4]) == "--decode";
  if (argc != 4 && !decode) {
    std::fprintf(stderr, "usage: dump_logits <checkpoint directory> <ids file> <out file> [--decode]\n");
    return 2;
  }
  try {
    ecld::DumpLogits(argv[1], argv[2], argv[3], decode);
  } catch (const ecld::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
