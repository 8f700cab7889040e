#include "checkpoint/cache_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <memory>

#include "core/error.h"
#include "core/log.h"
#include "core/word_sum.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

struct Header {
  char magic[8] = {};
  uint32_t version = 0;
  uint32_t zero = 0;
  uint64_t bytes = 0;  // of the whole file
  uint64_t checksum = 0;
  char key[64] = {};

  Header(const CacheIdentity& identity, uint64_t sum)
      : version(identity.version), bytes(identity.bytes), checksum(sum) {
    assert(identity.magic.size() == sizeof(magic) && identity.key.size() == sizeof(key));
    std::memcpy(magic, identity.magic.data(), sizeof(magic));
    std::memcpy(key, identity.key.data(), sizeof(key));
  }
};
static_assert(sizeof(Header) == 96 && sizeof(Header) <= kCacheHeaderBytes);

// A file that is locked for as long as this lives. Waits for the process that holds it.
class LockedFile {
 public:
  explicit LockedFile(const fs::path& path) : fd_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644)) {
    if (fd_ < 0 || ::flock(fd_, LOCK_EX | LOCK_NB) == 0) return;
    LogInfo("{}: another process is writing it; waiting", path.string());
    while (::flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
    }
  }
  ~LockedFile() {
    if (fd_ >= 0) ::close(fd_);
  }
  LockedFile(const LockedFile&) = delete;
  LockedFile& operator=(const LockedFile&) = delete;

  int fd() const { return fd_; }
  // Whether the file still has this name: the one that held it before may have renamed it.
  bool IsAt(const fs::path& path) const {
    struct stat held, named;
    return ::fstat(fd_, &held) == 0 && ::stat(path.c_str(), &named) == 0 && held.st_ino == named.st_ino;
  }

 private:
  int fd_;
};

std::optional<std::string> Fill(int fd, const CacheIdentity& identity, const CacheContent& content) {
  if (::ftruncate(fd, 0) != 0) return std::strerror(errno);
  if (const int code = ::posix_fallocate(fd, 0, static_cast<off_t>(identity.bytes))) return std::strerror(code);
  return content(fd);
}

// No sync: what a power cut leaves has another checksum.
std::optional<std::string> WriteTo(const fs::path& path, int fd, const CacheIdentity& identity, ThreadPool& pool,
                                   const CacheContent& content) {
  if (auto failed = Fill(fd, identity, content)) return failed;
  const MappedFile file(path);
  const Header header(identity, WordSum(file.bytes().subspan(kCacheHeaderBytes), pool));
  return WriteAt(fd, &header, sizeof(header), 0);
}

}  // namespace

std::optional<std::string> WriteAt(int fd, const void* data, uint64_t size, uint64_t offset) {
  const auto* from = static_cast<const std::byte*>(data);
  while (size > 0) {
    const ssize_t written = ::pwrite(fd, from, size, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return std::strerror(errno);
    from += written;
    size -= static_cast<uint64_t>(written);
    offset += static_cast<uint64_t>(written);
  }
  return std::nullopt;
}

std::optional<MappedFile> OpenCacheFile(const fs::path& path, const CacheIdentity& identity, ThreadPool& pool) {
  std::error_code error;
  if (fs::file_size(path, error) != identity.bytes || error) return std::nullopt;
  MappedFile file(path);
  if (file.bytes().size() != identity.bytes) return std::nullopt;
  const Header expected(identity, WordSum(file.bytes().subspan(kCacheHeaderBytes), pool));
  if (std::memcmp(file.bytes().data(), &expected, sizeof(expected)) != 0) {
    LogInfo("{}: is not of this checkpoint as it is now, or damaged; made again", path.string());
    return std::nullopt;
  }
  return file;
}

std::optional<std::string> MakeCacheFile(const fs::path& path, const CacheIdentity& identity, ThreadPool& pool,
                                         const CacheContent& content, std::optional<MappedFile>* file) {
  fs::path temporary = path;
  temporary += ".tmp";
  while (true) {
    LockedFile locked(temporary);
    if (locked.fd() < 0) return std::strerror(errno);
    if (!locked.IsAt(temporary)) {
      if ((*file = OpenCacheFile(path, identity, pool))) return std::nullopt;
      continue;
    }
    std::optional<std::string> failed;
    try {
      failed = WriteTo(temporary, locked.fd(), identity, pool, content);
    } catch (...) {
      ::unlink(temporary.c_str());
      throw;
    }
    if (!failed && ::rename(temporary.c_str(), path.c_str()) != 0) failed = std::strerror(errno);
    if (failed) {
      ::unlink(temporary.c_str());
      return failed;
    }
    *file = OpenCacheFile(path, identity, pool);
    return *file ? std::nullopt : std::optional<std::string>("it does not read back as it was written");
  }
}

std::optional<std::string> MakeUnnamedFile(const CacheIdentity& identity, const CacheContent& content,
                                           std::optional<MappedFile>* file) {
  std::error_code error;
  const fs::path folder = fs::temp_directory_path(error);
  if (error) return error.message();
  const int fd = ::open(folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (fd < 0) return std::strerror(errno);
  const auto close = [](const int* open) { ::close(*open); };
  const std::unique_ptr<const int, decltype(close)> closed(&fd, close);
  auto failed = Fill(fd, identity, content);
  if (!failed) *file = MappedFile(fmt::format("/proc/self/fd/{}", fd));
  return failed;
}

}  // namespace ecld
