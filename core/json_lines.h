#pragma once
// Files of JSON records: one value on each line (JSON Lines, also called NDJSON), or one array of them. What a record
// must hold is the caller's business.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "core/json.h"

namespace ecld {

// The lines of text without their ends, \n or \r\n; the last line may lack its own.
std::vector<std::string_view> Lines(std::string_view text);

// number: the line, or the place in the array, from 1. where: "data.jsonl:12", or "data.json[12]".
using JsonRecordVisitor = std::function<void(Json record, int64_t number, const std::string& where)>;

// Calls visit for each line that is not blank. THROWS Error on a line that is no JSON.
void ReadJsonLines(std::string_view text, const std::string& where, const JsonRecordVisitor& visit);
// Calls visit for each element. THROWS Error on what is no array.
void ReadJsonArray(std::string_view text, const std::string& where, const JsonRecordVisitor& visit);

// Whether the text is one array: a line of JSON Lines does not begin with a bracket where records are objects.
bool IsJsonArray(std::string_view text);
// Whether the first line that is not blank is a JSON object, or the whole text an array of them.
bool HoldsJsonRecords(std::string_view text);

}  // namespace ecld
