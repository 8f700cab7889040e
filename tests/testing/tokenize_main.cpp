// tokenize <directory> <file> [--add-special]: prints the ids of the bytes of a file, one per line; what the oracle
// script compares with other tokenizers. With --texts the file is a JSON list of texts; for each a line of JSON: its
// ids with what the tokenizer adds, the text of these without and with special tokens (bytes that are no UTF-8
// replaced). With --roles the texts of the special tokens instead, as JSON. With --time N instead: encodes the file N
// times, whole and line by line, and prints the seconds of the fastest run of each; what the benchmark script compares.

#include <algorithm>
#include <chrono>
#include <exception>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint/tokenizer/tokenizer.h"
#include "core/files.h"
#include "core/json.h"

namespace {

template <class Work>
double FastestSeconds(int repeats, Work&& work) {
  double fastest = 1e30;
  for (int i = 0; i < repeats; ++i) {
    auto start = std::chrono::steady_clock::now();
    work();
    fastest = std::min(fastest, std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count());
  }
  return fastest;
}

void PrintSeconds(const ecld::Tokenizer& tokenizer, std::string_view text, int repeats) {
  std::vector<std::string_view> lines;
  for (size_t begin = 0; begin < text.size();) {
    size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    lines.push_back(text.substr(begin, end - begin));
    begin = end;
  }
  size_t ids = 0;
  double whole = FastestSeconds(repeats, [&] { ids += tokenizer.Encode(text, false).size(); });
  double by_line = FastestSeconds(repeats, [&] {
    for (std::string_view line : lines) ids += tokenizer.Encode(line, false).size();
  });
  std::cout << whole << ' ' << by_line << ' ' << ids << '\n';
}

void PrintTexts(const ecld::Tokenizer& tokenizer, const std::string& list) {
  for (const ecld::Json& text : ecld::ParseJson(list, "texts")) {
    const std::vector<int32_t> ids = tokenizer.Encode(text.get<std::string>(), true);
    const ecld::Json line = {ids, tokenizer.Decode(ids, true), tokenizer.Decode(ids, false)};
    std::cout << line.dump(-1, ' ', true, ecld::Json::error_handler_t::replace) << '\n';
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: tokenize <tokenizer directory> <file> [--add-special | --texts | --roles | --time N]\n";
    return 2;
  }
  try {
    auto tokenizer = ecld::Tokenizer::Open(argv[1]);
    std::string text = ecld::ReadFile(argv[2]);
    std::string_view mode = argc > 3 ? argv[3] : "";
    if (mode == "--time" && argc > 4) {
      PrintSeconds(*tokenizer, text, std::stoi(argv[4]));
      return 0;
    }
    if (mode == "--roles") {
      std::cout << tokenizer->special_tokens() << '\n';
      return 0;
    }
    if (mode == "--texts") {
      PrintTexts(*tokenizer, text);
      return 0;
    }
    std::string out;
    for (int32_t id : tokenizer->Encode(text, mode == "--add-special")) out += std::to_string(id) + '\n';
    std::cout << out;
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
