#include <algorithm>
#include <array>
#include <cassert>
#include <string>
#include <utility>

#include "core/json.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {
namespace {

constexpr std::array kSpecial = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
constexpr std::array<std::pair<const char*, const char*>, 24> kMerges = {{
    {"Ġ", "t"}, {"h", "e"},  {"Ġ", "a"}, {"i", "n"}, {"r", "e"},  {"o", "n"},   {"Ġt", "he"}, {"e", "r"},
    {"Ġ", "s"}, {"a", "t"},  {"Ġ", "w"}, {"o", "u"}, {"e", "n"},  {"Ġ", "c"},   {"i", "s"},   {"o", "r"},
    {"e", "s"}, {"in", "g"}, {"Ġ", "o"}, {"a", "n"}, {"Ġa", "n"}, {"Ġan", "d"}, {"o", "f"},   {"Ġ", "of"},
}};
static_assert(kSpecial.size() + 256 + kMerges.size() == kTinyTokens);

constexpr const char* kChatTemplate =
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + "
    "'\\n'}}{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}";

std::string Utf8(int code_point) {
  assert(code_point < 0x800);
  if (code_point < 0x80) return {static_cast<char>(code_point)};
  return {static_cast<char>(0xc0 | (code_point >> 6)), static_cast<char>(0x80 | (code_point & 0x3f))};
}

// The character that stands for a byte in byte-level vocabularies: printable Latin-1 stands for itself, the others
// follow from U+0100 on in order (Radford et al. 2019, the GPT-2 vocabulary).
std::string ByteCharacter(int byte) {
  auto printable = [](int b) { return (b >= '!' && b <= '~') || (b >= 0xa1 && b != 0xad); };
  if (printable(byte)) return Utf8(byte);
  int rank = 0;
  for (int b = 0; b < byte; ++b) rank += printable(b) ? 0 : 1;
  return Utf8(0x100 + rank);
}

}  // namespace

void WriteTinyTokenizer(const std::filesystem::path& directory) {
  Json vocab = Json::object(), merges = Json::array(), added = Json::array();
  int64_t id = 0;
  for (const char* token : kSpecial) {
    added.push_back({{"id", id},
                     {"content", token},
                     {"single_word", false},
                     {"lstrip", false},
                     {"rstrip", false},
                     {"normalized", false},
                     {"special", true}});
    vocab[token] = id++;
  }
  for (int byte = 0; byte < 256; ++byte) vocab[ByteCharacter(byte)] = id++;
  for (const auto& [left, right] : kMerges) {
    vocab[std::string(left) + right] = id++;
    merges.push_back(std::string(left) + " " + right);
  }
  WriteJsonFile(
      directory / "tokenizer.json",
      {{"version", "1.0"},
       {"truncation", nullptr},
       {"padding", nullptr},
       {"added_tokens", added},
       {"normalizer", nullptr},
       {"pre_tokenizer",
        {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", true}}},
       {"post_processor", nullptr},
       {"decoder", {{"type", "ByteLevel"}, {"add_prefix_space", true}, {"trim_offsets", true}, {"use_regex", true}}},
       {"model",
        {{"type", "BPE"},
         {"dropout", nullptr},
         {"unk_token", nullptr},
         {"continuing_subword_prefix", nullptr},
         {"end_of_word_suffix", nullptr},
         {"fuse_unk", false},
         {"byte_fallback", false},
         {"ignore_merges", false},
         {"vocab", vocab},
         {"merges", merges}}}});
  WriteJsonFile(directory / "tokenizer_config.json", {{"tokenizer_class", "PreTrainedTokenizerFast"},
                                                      {"bos_token", kSpecial[0]},
                                                      {"eos_token", kSpecial[2]},
                                                      {"chat_template", kChatTemplate}});
}

}  // namespace ecld
