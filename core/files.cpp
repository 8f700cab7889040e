#include "core/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <fstream>
#include <sstream>

#include "core/error.h"
#include "core/text_encoding.h"

namespace ecld {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kLockMark = "ecld process ";

// Opens path and writes all of content, to the disk if `sync`. Returns 0, or what errno said.
int WriteTo(const fs::path& path, int flags, std::string_view content, bool sync) {
  const int fd = ::open(path.c_str(), flags | O_CLOEXEC, 0644);
  if (fd < 0) return errno;
  int fault = 0;
  while (fault == 0 && !content.empty()) {
    const ssize_t written = ::write(fd, content.data(), content.size());
    if (written >= 0)
      content.remove_prefix(static_cast<size_t>(written));
    else if (errno != EINTR)
      fault = errno;
  }
  if (fault == 0 && sync && ::fsync(fd) != 0) fault = errno;
  if (::close(fd) != 0 && fault == 0) fault = errno;
  return fault;
}

}  // namespace

std::string ReadFile(const fs::path& path) {
  if (fs::is_directory(path)) Fail(path.string(), "is a directory, expected a file");
  std::ifstream stream(path, std::ios::binary);
  if (!stream) Fail(path.string(), "cannot open: {}", std::strerror(errno));
  std::ostringstream content;
  content << stream.rdbuf();
  if (stream.bad()) Fail(path.string(), "cannot read: {}", std::strerror(errno));
  return std::move(content).str();
}

std::string ReadTextFile(const fs::path& path) { return DecodeText(ReadFile(path), path.string()); }

void WriteFileAtomically(const fs::path& path, std::string_view content) {
  std::error_code ignored;
  const fs::file_status status = fs::status(path, ignored);
  if (fs::is_directory(status)) Fail(path.string(), "is a directory, expected a file");
  // A file renamed onto a device or a pipe would take its place: /dev/null would be gone.
  if (fs::exists(status) && !fs::is_regular_file(status)) {
    if (const int fault = WriteTo(path, O_WRONLY, content, false))
      Fail(path.string(), "cannot write: {}", std::strerror(fault));
    return;
  }
  fs::path temporary = path;
  temporary += ".tmp";
  int fault = WriteTo(temporary, O_WRONLY | O_CREAT | O_TRUNC, content, true);
  if (fault == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) fault = errno;
  if (fault == 0) return;
  ::unlink(temporary.c_str());
  Fail(path.string(), "cannot write: {}", std::strerror(fault));
}

void RequireSeparate(const fs::path& in, const fs::path& out) {
  fs::path a = fs::weakly_canonical(in);
  fs::path b = fs::weakly_canonical(out);
  auto inside = [](const fs::path& inner, const fs::path& outer) {
    auto relative = inner.lexically_relative(outer);
    return !relative.empty() && *relative.begin() != "..";
  };
  if (a == b) Fail(out.string(), "output and input are the same directory; choose another output");
  if (inside(b, a)) Fail(out.string(), "output lies inside the input directory {}; choose another output", in.string());
  if (inside(a, b)) Fail(out.string(), "output contains the input directory {}; choose another output", in.string());
}

fs::path Sibling(const fs::path& path, std::string_view suffix) {
  fs::path sibling = path.has_filename() ? path : path.parent_path();
  sibling += suffix;
  return sibling;
}

DirectoryLock::DirectoryLock(const fs::path& directory) : path_(Sibling(directory, ".lock")) {
  if (path_.has_parent_path()) {
    std::error_code error;
    fs::create_directories(path_.parent_path(), error);
    if (error) Fail(path_.parent_path().string(), "cannot create: {}", error.message());
  }
  // The holder removes the file when it ends; a lock taken on a file removed meanwhile protects nothing, so try again.
  struct stat held, named;
  do {
    if (fd_ >= 0) ::close(fd_);
    Take(directory);
  } while (::fstat(fd_, &held) != 0 || ::stat(path_.c_str(), &named) != 0 || held.st_ino != named.st_ino);
  const std::string mark = std::string(kLockMark) + std::to_string(::getpid());
  if (::ftruncate(fd_, 0) != 0 || ::pwrite(fd_, mark.data(), mark.size(), 0) < 0)
    Fail(path_.string(), "cannot write the lock file: {}", std::strerror(errno));
}

void DirectoryLock::Take(const fs::path& directory) {
  fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
  made_ = fd_ >= 0;
  if (!made_ && errno == EEXIST) fd_ = ::open(path_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) Fail(path_.string(), "cannot create the lock file: {}", std::strerror(errno));
  char text[64] = {};
  const ssize_t length = ::pread(fd_, text, sizeof(text) - 1, 0);
  const std::string_view found(text, static_cast<size_t>(std::max<ssize_t>(length, 0)));
  const bool marked = found.starts_with(kLockMark);
  if (!marked && !found.empty()) {
    ::close(fd_);
    Fail(path_.string(), "is needed to lock the output, but is a file that no run made; move it away");
  }
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    Fail(directory.string(), "is in use by another run (process {}); wait for it or choose another output",
         marked ? found.substr(kLockMark.size()) : "unknown");
  }
  made_ = made_ || marked;
}

DirectoryLock::~DirectoryLock() {
  if (fd_ < 0) return;
  // An empty file that was there before stays, as it was.
  if (made_ || ::ftruncate(fd_, 0) != 0) ::unlink(path_.c_str());
  ::close(fd_);
}

void PublishDirectory(const fs::path& staged, const fs::path& final_path) {
  // Not a name that people give to what they want to keep.
  const fs::path aside = Sibling(final_path, ".replaced");
  std::error_code error;
  fs::remove_all(aside, error);
  bool replaced = fs::exists(final_path);
  if (replaced) fs::rename(final_path, aside, error);
  if (!error) fs::rename(staged, final_path, error);
  if (error) {
    std::error_code ignored;
    if (replaced && !fs::exists(final_path)) fs::rename(aside, final_path, ignored);
    Fail(final_path.string(), "cannot publish {}: {}", staged.string(), error.message());
  }
  if (aside.has_parent_path()) SyncPath(aside.parent_path());
  if (replaced) fs::remove_all(aside, error);
}

void SyncPath(const fs::path& path) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  bool synced = fd >= 0 && ::fsync(fd) == 0;
  int saved = errno;
  if (fd >= 0) ::close(fd);
  if (!synced) Fail(path.string(), "cannot flush to disk: {}", std::strerror(saved));
}

uint64_t FreeDiskBytes(const fs::path& path) {
  fs::path existing = fs::absolute(path);
  while (!fs::exists(existing) && existing.has_relative_path()) existing = existing.parent_path();
  std::error_code error;
  auto space = fs::space(existing, error);
  if (error) Fail(existing.string(), "cannot tell the free space: {}", error.message());
  return space.available;
}

}  // namespace ecld
