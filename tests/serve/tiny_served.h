#pragma once
// A tiny checkpoint opened to be served, removed when the test ends.

#include <filesystem>
#include <functional>
#include <memory>
#include <utility>

#include "checkpoint/tokenizer/chat_template.h"
#include "checkpoint/tokenizer/tokenizer.h"
#include "core/json.h"
#include "runtime/session.h"
#include "tests/testing/temp_dir.h"
#include "tests/testing/tiny_checkpoint.h"

namespace ecld {

// Takes the end-of-text ids away: an answer ends where max_tokens says.
inline void NeverEnds(const std::filesystem::path& directory) {
  for (const auto& [file, key] :
       {std::pair("config.json", "eos_token_id"), std::pair("tokenizer_config.json", "eos_token")}) {
    Json json = ReadJsonFile(directory / file);
    json.erase(key);
    WriteJsonFile(directory / file, json);
  }
}

struct TinyServed {
  // prepare: what is done to the files before they are opened.
  explicit TinyServed(
      const TinyOptions& options = {}, const std::function<void(const std::filesystem::path&)>& prepare = [](auto&) {})
      : config(WriteTinyCheckpoint(dir.path(), options)),
        model((prepare(dir.path()), Checkpoint::Open(dir.path()))),
        tokenizer(Tokenizer::Open(dir.path())),
        chat_template(ChatTemplate::Open(dir.path(), tokenizer->special_tokens()).value()) {}

  TempDir dir;
  ModelConfig config;
  RuntimeModel model;
  std::unique_ptr<Tokenizer> tokenizer;
  ChatTemplate chat_template;
  ThreadPool pool{2};
};

}  // namespace ecld
