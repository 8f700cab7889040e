#include "core/yaml_reader.h"

#include <yaml-cpp/eventhandler.h>

#include <algorithm>
#include <charconv>
#include <set>
#include <span>
#include <sstream>
#include <vector>

#include "core/error.h"
#include "core/utf8.h"

namespace ecld {
namespace {

constexpr size_t kMaxBytes = 256 * 1024;
constexpr int kMaxDepth = 32;

// Runs over the events of a document before a tree is built of it.
class Guard : public YAML::EventHandler {
 public:
  explicit Guard(std::string where) : where_(std::move(where)) {}

  void OnDocumentStart(const YAML::Mark&) override {}
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override { Check(mark, "", anchor); }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override {
    Fail(At(mark), "aliases (*name) are not read; repeat the value");
  }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string&) override {
    Check(mark, tag, anchor);
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    Enter(mark, tag, anchor);
  }
  void OnSequenceEnd() override { --depth_; }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    Enter(mark, tag, anchor);
  }
  void OnMapEnd() override { --depth_; }

  std::string At(const YAML::Mark& mark) const { return fmt::format("{}:{}", where_, mark.line + 1); }

 private:
  void Check(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    if (anchor != 0) Fail(At(mark), "anchors (&name) are not read");
    // "?" is yaml-cpp's tag of a plain value, "!" of a quoted one.
    if (!tag.empty() && tag != "?" && tag != "!") Fail(At(mark), "tags (!{}) are not read", tag);
  }
  void Enter(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
    Check(mark, tag, anchor);
    if (++depth_ > kMaxDepth) Fail(At(mark), "nested deeper than {} levels", kMaxDepth);
  }

  std::string where_;
  int depth_ = 0;
};

// yaml-cpp reads broken UTF-8 and control characters in one way and writes them in another.
void CheckText(std::string_view text, const std::string& where) {
  int64_t line = 1;
  for (size_t at = 0; at < text.size();) {
    const Utf8Char character = CharAt(text, at);
    if (character.code == '\n') ++line;
    const bool control =
        character.code < 0x20 && character.code != '\n' && character.code != '\r' && character.code != '\t';
    if (control || character.code == kInvalidCodePoint)
      Fail(fmt::format("{}:{}", where, line), "byte 0x{:02x}; only plain UTF-8 text is read",
           static_cast<unsigned char>(text[at]));
    at += character.size;
  }
}

void CheckKeys(const YAML::Node& node, const std::string& where) {
  if (node.IsSequence())
    for (const auto& item : node) CheckKeys(item, where);
  if (!node.IsMap()) return;
  std::set<std::string> seen;
  for (const auto& item : node) {
    std::string at = fmt::format("{}:{}", where, item.first.Mark().line + 1);
    if (!item.first.IsScalar()) Fail(at, "keys must be plain words");
    if (!seen.insert(item.first.Scalar()).second) Fail(at, "the key \"{}\" appears twice", item.first.Scalar());
    CheckKeys(item.second, where);
  }
}

// A copy that has no place in a file.
YAML::Node WithoutMarks(const YAML::Node& node) {
  YAML::Node copy(node.Type());
  if (node.IsScalar()) {
    copy = YAML::Node(node.Scalar());
    copy.SetTag(node.Tag());
  }
  for (const auto& item : node) {
    if (node.IsMap())
      copy[item.first.Scalar()] = WithoutMarks(item.second);
    else
      copy.push_back(WithoutMarks(item));
  }
  return copy;
}

size_t Index(const std::string& part, size_t size, const std::string& where) {
  size_t index = 0;
  auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), index);
  if (error != std::errc() || end != part.data() + part.size())
    Fail(where, "\"{}\" points into a list of {} and must be an index", part, size);
  if (index >= size) Fail(where, "index {} is past the end of a list of {}", index, size);
  return index;
}

void SetAt(YAML::Node node, std::span<const std::string> path, const YAML::Node& value, const std::string& where) {
  const std::string& part = path.front();
  if (node.IsSequence()) {
    size_t index = Index(part, node.size(), where);
    if (path.size() == 1)
      node[index] = value;
    else
      SetAt(node[index], path.subspan(1), value, where);
  } else if (node.IsMap() || node.IsNull()) {
    if (path.size() == 1) {
      node[part] = value;
    } else {
      if (!node[part].IsDefined()) node[part] = YAML::Node(YAML::NodeType::Map);
      SetAt(node[part], path.subspan(1), value, where);
    }
  } else {
    Fail(where, "\"{}\" lies below the value \"{}\", which has no keys", part, node.Scalar());
  }
}

std::vector<std::string> SplitPath(const std::string& path, const std::string& where) {
  std::vector<std::string> parts;
  std::stringstream stream(path);
  for (std::string part; std::getline(stream, part, '.');) parts.push_back(part);
  if (parts.empty() || path.back() == '.') parts.emplace_back();
  for (const auto& part : parts)
    if (part.empty()) Fail(where, "an empty name in the path; write it like stages.0.bits=3");
  if (parts.size() > kMaxDepth) Fail(where, "nested deeper than {} levels", kMaxDepth);
  return parts;
}

// yaml-cpp writes a carriage return or a line separator inside a plain word as it is, and reads it back as something
// else.
void EmitScalar(const std::string& text, YAML::Emitter& emitter) {
  const bool plain = std::all_of(text.begin(), text.end(), [](unsigned char c) { return c >= 0x20 && c < 0x7F; });
  if (!plain) emitter << YAML::DoubleQuoted;
  emitter << text;
}

// One form for one meaning, whatever the style it was written in: its hash says whether two recipes are the same.
void Emit(const YAML::Node& node, YAML::Emitter& emitter) {
  const auto style = node.size() == 0 ? YAML::Flow : YAML::Block;  // an empty list or mapping has no block form
  if (node.IsMap()) {
    emitter << style << YAML::BeginMap;
    for (const auto& item : node) {
      emitter << YAML::Key;
      EmitScalar(item.first.Scalar(), emitter);
      emitter << YAML::Value;
      Emit(item.second, emitter);
    }
    emitter << YAML::EndMap;
  } else if (node.IsSequence()) {
    emitter << style << YAML::BeginSeq;
    for (const auto& item : node) Emit(item, emitter);
    emitter << YAML::EndSeq;
  } else if (node.IsNull()) {
    emitter << YAML::Null;
  } else {
    EmitScalar(node.Scalar(), emitter);
  }
}

}  // namespace

YAML::Node ReadYaml(std::string_view text, const std::string& where) {
  if (text.size() > kMaxBytes) Fail(where, "{} bytes are too many (at most {})", text.size(), kMaxBytes);
  CheckText(text, where);
  try {
    Guard guard(where);
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    parser.HandleNextDocument(guard);
    if (parser.HandleNextDocument(guard)) Fail(where, "holds more than one YAML document (---)");
    YAML::Node root = YAML::Load(std::string(text));
    CheckKeys(root, where);
    return root;
  } catch (const YAML::Exception& error) {
    std::string at = error.mark.is_null() ? where : fmt::format("{}:{}", where, error.mark.line + 1);
    throw Error(at, "not valid YAML: " + error.msg);
  }
}

void ApplyOverride(const YAML::Node& root, const std::string& assignment) {
  std::string where = "--set " + assignment;
  size_t equals = assignment.find('=');
  if (equals == std::string::npos) Fail(where, "expected PATH=VALUE, like stages.0.bits=3");
  std::vector<std::string> parts = SplitPath(assignment.substr(0, equals), where);
  YAML::Node value = WithoutMarks(ReadYaml(assignment.substr(equals + 1), where));

  SetAt(root, parts, value, where);
}

std::string WriteYaml(const YAML::Node& root) {
  YAML::Emitter emitter;
  Emit(root, emitter);
  return std::string(emitter.c_str()) + "\n";
}

}  // namespace ecld
