#pragma once
// Runs the real programs as a user does, and gives back what they said. ECLD_BIN_DIR (set by CTest) says where they
// are.

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/testing/temp_dir.h"

namespace ecld {

inline std::filesystem::path ProgramPath(const std::string& name) {
  const char* folder = std::getenv("ECLD_BIN_DIR");
  return std::filesystem::path(folder != nullptr ? folder : ".") / name;
}

struct Outcome {
  int status = 0;  // exit status, or 128 + the signal that ended it
  std::string out, err;
};

struct Surroundings {
  std::optional<uint64_t> file_limit_B;  // no file may grow beyond it
  std::string input = "/dev/null";       // a file, for stdin
};

// A started program. Killed, if it still runs, when this goes away.
class Program {
 public:
  explicit Program(const std::vector<std::string>& arguments, const Surroundings& surroundings = {}) {
    pid_ = ::fork();
    if (pid_ == 0) Exec(arguments, surroundings);
  }
  ~Program() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void Signal(int signal) { ::kill(pid_, signal); }
  // What it has said so far.
  std::string Out() const { return Read("out"); }
  std::string Err() const { return Read("err"); }

  Outcome Wait() {
    int state = 0;
    ::waitpid(pid_, &state, 0);
    pid_ = 0;
    return {WIFEXITED(state) ? WEXITSTATUS(state) : 128 + WTERMSIG(state), Read("out"), Read("err")};
  }

 private:
  [[noreturn]] void Exec(const std::vector<std::string>& arguments, const Surroundings& surroundings) {
    const std::string program = ProgramPath(arguments[0]);
    std::vector<char*> argv = {const_cast<char*>(program.c_str())};
    for (size_t i = 1; i < arguments.size(); ++i) argv.push_back(const_cast<char*>(arguments[i].c_str()));
    argv.push_back(nullptr);
    auto redirect = [](const std::filesystem::path& path, int flags, int to) {
      const int fd = ::open(path.c_str(), flags, 0644);
      if (fd < 0 || ::dup2(fd, to) < 0) ::_exit(126);
    };
    redirect(surroundings.input, O_RDONLY, 0);
    redirect(dir_ / "out", O_WRONLY | O_CREAT | O_TRUNC, 1);
    redirect(dir_ / "err", O_WRONLY | O_CREAT | O_TRUNC, 2);
    if (surroundings.file_limit_B) {
      const rlimit limit = {*surroundings.file_limit_B, *surroundings.file_limit_B};
      if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) ::_exit(126);
    }
    ::execv(program.c_str(), argv.data());
    ::_exit(127);
  }

  std::string Read(const char* name) const {
    std::ifstream stream(dir_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(stream), {}};
  }

  TempDir dir_;
  pid_t pid_ = 0;
};

inline Outcome RunToEnd(const std::vector<std::string>& arguments) { return Program(arguments).Wait(); }

// Waits until path exists. Fails the test after half a minute.
inline void AwaitFile(const std::filesystem::path& path) {
  for (int i = 0; i < 3000 && !std::filesystem::exists(path); ++i)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  ASSERT_TRUE(std::filesystem::exists(path)) << path;
}

}  // namespace ecld
