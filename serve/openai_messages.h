#pragma once
// The messages and tools of a chat request, read strictly and brought into the form that chat templates expect
// (https://huggingface.co/docs/transformers/chat_extras): content is one text, the arguments of tool calls are objects.
// What a response of this API holds is accepted when a client sends it back.

#include "serve/request_fields.h"

namespace ecld {

// At least one: {"role", "content", "name"?, "tool_calls"?, "tool_call_id"?, "reasoning_content"?}. THROWS ApiError.
Json ReadMessages(RequestFields& fields, UnknownFields& unknown);

// What chat templates know as tools: functions, as the request has them; null where there are none. THROWS ApiError.
Json ReadTools(RequestFields& fields);

}  // namespace ecld
