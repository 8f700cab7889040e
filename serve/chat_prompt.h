#pragma once
// A chat request as the text that the model continues: the template of the checkpoint, filled as transformers'
// apply_chat_template does.

#include <string>

#include "checkpoint/tokenizer/chat_template.h"
#include "serve/openai_request.h"

namespace ecld {

// THROWS ApiError when the template refuses the messages, or when the last one is to be continued and does not come out
// of it as it went in.
std::string ChatPrompt(const ChatTemplate& chat_template, const ApiRequest& request);

// Whether the template makes nothing of a value that the request gives it (tools, documents): a template that does not
// know of tools says nothing about them to the model. REQUIRES: ChatPrompt did not throw.
bool TemplateIgnores(const ChatTemplate& chat_template, const ApiRequest& request, const char* value,
                     const std::string& prompt);

}  // namespace ecld
