#pragma once
// A chat as it stands in a JSON record of training data: OpenAI's messages ({"role", "content"}) or ShareGPT's
// conversations ({"from", "value"}, with LLaMA-Factory's function_call and observation), beside them a system prompt
// ("system"), "tools" (a list, or its text), and "chat_template_kwargs". What comes out is what a chat template takes;
// what would be lost on the way is an Error.

#include <string>

#include "core/json.h"

namespace ecld {

struct Chat {
  Json messages = Json::array();
  Json variables = Json::object();  // further ones for the template
};

// field: of the record, where the list of messages stands. where: "data.jsonl:12". THROWS Error.
Chat ReadChat(const Json& record, const std::string& field, const std::string& where);

}  // namespace ecld
