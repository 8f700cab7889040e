#pragma once
// YAML as plain mappings, lists and scalars. What our files have no use for and a hostile one has (anchors and
// aliases, tags, several documents, deep nesting, repeated keys, huge size) is an Error with its line.

#include <yaml-cpp/yaml.h>

#include <string>
#include <string_view>

namespace ecld {

// The tree of text. where: the file, for errors. THROWS Error "recipe.yaml:3: ...".
YAML::Node ReadYaml(std::string_view text, const std::string& where);

// Applies "stages.0.bits=3" to the tree that root is a handle of: a path of keys and list indices, then a value in
// YAML. Keys that do not exist are created (whoever reads them refuses unknown ones); indices must exist. Values set so
// carry no line. THROWS Error.
void ApplyOverride(const YAML::Node& root, const std::string& assignment);

// The tree as block-style YAML with a final newline, the same text for equal trees. ReadYaml of it gives an equal tree.
std::string WriteYaml(const YAML::Node& root);

}  // namespace ecld
