// dump_logits_torch <checkpoint> <ids> <out>: the logits of one text by the Torch blocks of model/, for the oracles.
// ids: raw int32. out: raw float32 [tokens, vocab_size].

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>

#include <cstdio>
#include <cstring>
#include <fstream>

#include "core/error.h"
#include "core/files.h"
#include "model/block.h"
#include "model/embedding.h"

int main(int argc, char** argv) try {
  using namespace ecld;
  if (argc != 4) Fail("dump_logits_torch", "expected <checkpoint> <ids> <out>, found {} arguments", argc - 1);
  at::NoGradGuard no_grad;
  const Checkpoint checkpoint = Checkpoint::Open(argv[1]);
  const std::string bytes = ReadFile(argv[2]);
  std::vector<int32_t> ids(bytes.size() / sizeof(int32_t));
  std::memcpy(ids.data(), bytes.data(), ids.size() * sizeof(int32_t));
  at::Tensor hidden = Embed(checkpoint, {ids});
  for (int64_t layer = 0; layer < checkpoint.config().num_layers; ++layer)
    hidden = Block::Load(checkpoint, layer).Forward(TorchOps(), hidden);
  at::Tensor logits = Logits(checkpoint, hidden).contiguous();
  std::ofstream out(argv[3], std::ios::binary);
  out.write(reinterpret_cast<const char*>(logits.data_ptr<float>()),
            static_cast<std::streamsize>(logits.numel() * static_cast<int64_t>(sizeof(float))));
  if (!out.flush()) Fail(argv[3], "cannot write");
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
