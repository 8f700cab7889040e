#include "cli/device/program.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <new>

#include "core/error.h"
#include "core/log.h"
#include "core/version.h"

namespace ecld {
namespace {

constexpr int kUserError = 1;
constexpr int kBadCommandLine = 2;
constexpr int kInterrupted = 128 + SIGINT;

// Read by the signal handler, which may not allocate.
char interrupt_text[256] = "\ninterrupted\n";

void OnInterrupt(int) {
  [[maybe_unused]] ssize_t ignored =
      ::write(STDERR_FILENO, interrupt_text, std::char_traits<char>::length(interrupt_text));
  // Nothing to tidy up: whatever is on disk is what a kill leaves, and every writer is made for that.
  ::_exit(kInterrupted);
}

int Complain(const std::string& name, const std::string& message) {
  fmt::print(stderr, "{}: error: {}\n", name, message);
  return kUserError;
}

int RunVerb(const std::string& name, const std::function<void()>& run) {
  try {
    run();
    if (std::fflush(stdout) != 0) return Complain(name, "cannot write to stdout");
    return 0;
  } catch (const Error& error) {
    return Complain(name, error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return Complain(name, fmt::format("{}: {}", error.path1().string(), error.code().message()));
  } catch (const std::bad_alloc&) {
    return Complain(name, "out of memory");
  } catch (const std::exception& error) {
    return Complain(name, fmt::format("internal error, please report it: {}", error.what()));
  }
}

}  // namespace

void SetInterruptNote(const std::string& note) {
  std::string text = "\ninterrupted; " + note + "\n";
  text.resize(std::min(text.size(), sizeof(interrupt_text) - 1));
  std::copy(text.c_str(), text.c_str() + text.size() + 1, interrupt_text);
}

int RunProgram(const std::string& name, const std::string& description, const std::vector<Verb>& verbs, int argc,
               char** argv) {
  std::signal(SIGINT, OnInterrupt);
  std::signal(SIGXFSZ, SIG_IGN);  // a file size limit then is an Error of the write, like a full disk

  CLI::App app(description, name);
  app.set_version_flag("--version", fmt::format("{} {}", name, kProgramVersion));
  app.require_subcommand(1);
  app.fallthrough();
  app.get_formatter()->column_width(34);
  bool quiet = false, verbose = false;
  app.add_flag("-q,--quiet", quiet, "only results and errors");
  app.add_flag("-v,--verbose", verbose, "more log lines");

  std::vector<std::function<void()>> runs;
  for (const Verb& verb : verbs) runs.push_back(verb.add(*app.add_subcommand(verb.name, verb.summary)));
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // --help, --version
    auto parsed = app.get_subcommands();
    Complain(name, error.what());
    fmt::print(stderr, "See {} {}--help\n", name, parsed.empty() ? "" : parsed.front()->get_name() + " ");
    return kBadCommandLine;
  }
  SetLogLevel(quiet ? LogLevel::kQuiet : verbose ? LogLevel::kDebug : LogLevel::kInfo);
  for (size_t i = 0; i < verbs.size(); ++i)
    if (app.got_subcommand(verbs[i].name)) return RunVerb(name, runs[i]);
  return kBadCommandLine;
}

}  // namespace ecld
