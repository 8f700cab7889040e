#include "measure/kernel_shapes.h"

#include <algorithm>
#include <charconv>
#include <sstream>

#include "core/error.h"
#include "core/files.h"

namespace ecld {
namespace {

constexpr int64_t kMaxSize = 1 << 24;

const KernelOp& OpOf(const std::string& where, const std::string& name) {
  std::vector<std::string> known;
  for (const KernelOp& op : kKernelOps) {
    if (op.name == name) return op;
    known.emplace_back(op.name);
  }
  Fail(where, "\"{}\" is no op{}", name, DidYouMean(name, known));
}

int64_t Size(const std::string& where, std::string_view what, const std::string& text) {
  int64_t size = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), size);
  if (error != std::errc() || end != text.data() + text.size() || size < 1 || size > kMaxSize)
    Fail(where, "{} is \"{}\", not a number from 1 to {}", what, text, kMaxSize);
  return size;
}

KernelShape ParseShape(const std::string& where, const std::vector<std::string>& words) {
  const KernelOp& op = OpOf(where, words[0]);
  std::vector<std::string> wanted = {"name"};
  for (std::string_view size : op.sizes)
    if (!size.empty()) wanted.emplace_back(size);
  if (words.size() != 1 + wanted.size())
    Fail(where, "{} takes {}, found {} words after it", op.name, fmt::join(wanted, " "), words.size() - 1);
  KernelShape shape{.op = words[0], .name = words[1]};
  for (size_t i = 1; i < wanted.size(); ++i) shape.sizes.push_back(Size(where, wanted[i], words[i + 1]));
  if (shape.op == "attention" && shape.sizes[0] % shape.sizes[1] != 0)
    Fail(where, "{} heads do not share {} kv_heads evenly", shape.sizes[0], shape.sizes[1]);
  if (shape.op == "rope" && shape.sizes[1] % 2 != 0) Fail(where, "head_dim {} is odd, not pairs", shape.sizes[1]);
  return shape;
}

}  // namespace

std::vector<KernelShape> ReadKernelShapes(const std::filesystem::path& file) {
  std::vector<KernelShape> shapes;
  std::istringstream lines(ReadTextFile(file));
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    std::istringstream stream(line.substr(0, line.find('#')));
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    if (!words.empty()) shapes.push_back(ParseShape(fmt::format("{}:{}", file.string(), number), words));
  }
  if (shapes.empty()) Fail(file.string(), "holds no shapes, but lines like \"gemm gate_up 8192 2048\" are wanted");
  return shapes;
}

}  // namespace ecld
