#pragma once
// What both programs share: a command line of verbs, log level, exit status, interruption.
//
// Results go to stdout, everything else to stderr. Exit status: 0 done, 1 an Error (its text on stderr), 2 a command
// line that is not understood, 130 interrupted.

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace CLI {
class App;
}

namespace ecld {

struct Verb {
  const char* name;
  const char* summary;
  // Adds the flags to the verb's own command line; returns what to do once they are parsed.
  std::function<void()> (*add)(CLI::App& verb);
};

int RunProgram(const std::string& name, const std::string& description, const std::vector<Verb>& verbs, int argc,
               char** argv);

// What is said on stderr when the user interrupts (Ctrl-C), like "the same command resumes".
void SetInterruptNote(const std::string& note);

}  // namespace ecld
