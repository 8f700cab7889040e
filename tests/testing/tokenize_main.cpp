// tokenize <directory> <file> [--add-special]: prints the ids of the bytes of a file, one per line. What the oracle
// scripts compare with other tokenizers.

#include <cstdio>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: tokenize <tokenizer directory> <file> [--add-special]\n";
    return 2;
  }
  try {
    auto tokenizer = ecld::Tokenizer::Open(argv[1]);
    std::string text = ecld::ReadTextFile(argv[2]);
    bool add_special = argc > 3 && std::string_view(argv[3]) == "--add-special";
    std::string out;
    for (int32_t id : tokenizer->Encode(text, add_special)) out += std::to_string(id) + '\n';
    std::cout << out;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
