// gguf_import <file.gguf> <out directory> [BF16|F16|F32]: the import alone, for the oracle.

#include <cstdio>
#include <exception>

#include "checkpoint/gguf/gguf_import.h"
#include "core/error.h"

int main(int argc, char** argv) {
  if (argc < 3 || argc > 4) {
    std::fprintf(stderr, "usage: gguf_import <file.gguf> <out directory> [BF16|F16|F32]\n");
    return 2;
  }
  try {
    ecld::ImportOptions options;
    if (argc == 4) {
      auto dtype = ecld::DTypeFromName(argv[3]);
      if (!dtype) ecld::Fail("dtype", "{} is no type", argv[3]);
      options.dtype = *dtype;
    }
    ecld::ImportGguf(argv[1], argv[2], options);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
  return 0;
}
