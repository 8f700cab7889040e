#pragma once
// What the three JSON files of a model say that is passed over here, as sentences for people. The tables of their known
// fields stand in the .cpp; one more field of a newer transformers is a line there.

#include <filesystem>
#include <string>
#include <vector>

#include "checkpoint/config.h"
#include "checkpoint/known_fields.h"
#include "core/json.h"

namespace ecld {

// Of config.json. THROWS Error at a field that asks for what is not supported.
std::vector<std::string> ConfigNotes(const JsonView& config, Family family);

// Of the tokenizer_config.json and generation_config.json in directory, each note behind its file's name; of what is
// not there, nothing. THROWS Error: malformed JSON; a field that asks for what is not supported.
std::vector<std::string> SideFileNotes(const std::filesystem::path& directory);

// Those of generation_config.json; the kTold ones change which token is drawn, and nothing here does that.
FieldTable GenerationFields();

}  // namespace ecld
