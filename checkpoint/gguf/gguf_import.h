#pragma once
// A GGUF file, or all parts of a split one (architectures llama, qwen2, qwen3), made into a Hugging Face checkpoint
// directory: dequantized weights under the standard names and in the standard row order, config.json, tokenizer and
// generation files. Weights pass through a few MiB at a time, so the file may be larger than memory. What GGUF rounded
// stays rounded: a Q4_K file gives the values of its codes in a wider type. How large that is, and what of the file is
// left out, is logged before.

#include <filesystem>

#include "core/dtype.h"

namespace ecld {

struct ImportOptions {
  DType dtype = DType::kBF16;  // of the written weights: kBF16, kF16 or kF32
};

// Writes out_directory, which appears whole or not at all ("<out_directory>.partial" until then) and replaces an
// earlier one. THROWS Error: anything malformed or unsupported in the file, a value that does not fit the type, a disk
// that is full, an output directory in use by another process.
void ImportGguf(const std::filesystem::path& gguf, const std::filesystem::path& out_directory,
                const ImportOptions& options = {});

}  // namespace ecld
