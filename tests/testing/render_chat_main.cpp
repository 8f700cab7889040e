// render_chat <template file> <input.json>: prints the rendered template. The input is {"messages": [...],
// "add_generation_prompt": bool, ...further variables}. What the oracle script compares with Jinja in Python.

#include <exception>
#include <iostream>

#include "checkpoint/tokenizer/chat_template.h"
#include "core/files.h"

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: render_chat <template file> <input.json>\n";
    return 2;
  }
  try {
    ecld::ChatTemplate chat(ecld::ReadTextFile(argv[1]), argv[1]);
    ecld::Json variables = ecld::ReadJsonFile(argv[2]);
    std::cout << chat.Render(variables.at("messages"), variables.value("add_generation_prompt", false), variables);
  } catch (const std::exception& e) {
    std::cerr << e.what() << '\n';
    return 1;
  }
}
