#include "runtime/tile_cache.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <utility>

#include "core/error.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/progress.h"
#include "kernels/packing/interleaved.h"
#include "runtime/word_sum.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kVersion = 1;  // of the header, of interleaved.h and of word_sum.h together
constexpr uint64_t kHeaderBytes = 4096;
constexpr uint64_t kAlignment = 64;
// The file is written in aligned pieces of this size: the system then keeps it in large pages, and the processor reads
// those a good deal faster than small ones.
constexpr uint64_t kPieceBytes = 2 << 20;

struct Header {
  char magic[8] = {'E', 'C', 'L', 'D', 'T', 'I', 'L', 'E'};
  uint32_t version = kVersion;
  uint32_t zero = 0;
  uint64_t bytes = 0;  // of the whole file
  uint64_t checksum = 0;
  char key[64] = {};

  Header(uint64_t file_bytes, uint64_t sum, const std::string& hex) : bytes(file_bytes), checksum(sum) {
    std::memcpy(key, hex.data(), sizeof(key));
  }
};
static_assert(sizeof(Header) == 96 && sizeof(Header) <= kHeaderBytes);

std::string KeyOf(const Checkpoint& checkpoint, const std::vector<WeightView>& rows) {
  Sha256 hash;
  hash.Update(fmt::format("interleaved {}\n{}\n", kVersion, checkpoint.QuickIdentity()));
  for (const WeightView& weight : rows)
    hash.Update(fmt::format("{} {} {} {}\n", weight.out_features, weight.in_features, weight.format.Name(),
                            Name(weight.scale_dtype)));
  return hash.HexDigest();
}

// The source of a matrix will not be read again.
void DropSource(const WeightView& rows) {
  const PackedFormat& format = rows.format;
  MappedFile::DropPages({rows.codes, static_cast<size_t>(rows.out_features * format.CodeWords(rows.in_features) * 4)});
  MappedFile::DropPages({rows.scales, static_cast<size_t>(rows.out_features * format.Groups(rows.in_features)) *
                                          SizeOf(rows.scale_dtype)});
}

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

}  // namespace

TileCache::TileCache(const Checkpoint& checkpoint, const std::vector<WeightView>& rows, int threads)
    : path_(FileOf(checkpoint.directory())), rows_(rows), key_(KeyOf(checkpoint, rows)) {
  uint64_t offset = kHeaderBytes;
  for (const WeightView& weight : rows_) {
    offsets_.push_back(offset);
    offset += (InterleavedBytes(weight) + kAlignment - 1) / kAlignment * kAlignment;
  }
  offsets_.push_back(offset);
  bytes_ = offset;
  ThreadPool pool(threads);
  if (OpenFile(pool)) return;
  const auto reason = WriteFile(pool);
  if (!reason) return;
  LogWarning("{}: cannot be written ({}); {} of weights are laid out in memory instead, at every start", path_.string(),
             *reason, FormatBytes(bytes_));
  HoldInMemory(pool);
}

fs::path TileCache::FileOf(const fs::path& directory) { return directory / "ecld-interleaved.bin"; }

uint64_t TileCache::FileBytes(const fs::path& directory) {
  std::error_code error;
  const auto bytes = fs::file_size(FileOf(directory), error);
  return error ? 0 : bytes;
}

void TileCache::PointTo(const std::byte* start) {
  for (size_t i = 0; i < rows_.size(); ++i) views_.push_back(InterleavedView(rows_[i], start + offsets_[i]));
}

bool TileCache::OpenFile(ThreadPool& pool) {
  std::error_code error;
  if (fs::file_size(path_, error) != bytes_ || error) return false;
  MappedFile file(path_);
  if (file.bytes().size() != bytes_) return false;
  const Header expected(bytes_, WordSum(file.bytes().subspan(kHeaderBytes), pool), key_);
  if (std::memcmp(file.bytes().data(), &expected, sizeof(expected)) != 0) {
    LogInfo("{}: is not of this checkpoint as it is now, or damaged; made again", path_.string());
    return false;
  }
  file_ = std::move(file);
  PointTo(file_->bytes().data());
  return true;
}

std::optional<std::string> TileCache::WriteFile(ThreadPool& pool) {
  fs::path temporary = path_;
  temporary += ".tmp";
  while (true) {
    LockedFile locked(temporary);
    if (locked.fd() < 0) return std::strerror(errno);
    if (!locked.IsAt(temporary)) {
      if (OpenFile(pool)) return std::nullopt;
      continue;
    }
    const auto start = std::chrono::steady_clock::now();
    auto failed = WriteTo(temporary, locked.fd(), pool);
    if (!failed && ::rename(temporary.c_str(), path_.c_str()) != 0) failed = std::strerror(errno);
    if (failed) {
      ::unlink(temporary.c_str());
      return failed;
    }
    const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - start;
    LogInfo("{} of packed weights laid out for this processor in {}, once: {}", FormatBytes(bytes_),
            FormatDuration(spent.count()), path_.string());
    return OpenFile(pool) ? std::nullopt : std::optional<std::string>("it does not read back as it was written");
  }
}

// No sync: what a power cut leaves has another checksum.
std::optional<std::string> TileCache::WriteTo(const fs::path& path, int fd, ThreadPool& pool) {
  if (::ftruncate(fd, 0) != 0) return std::strerror(errno);
  if (const int code = ::posix_fallocate(fd, 0, static_cast<off_t>(bytes_))) return std::strerror(code);
  if (auto failed = WriteMatrices(fd, pool)) return failed;
  const MappedFile file(path);
  const Header header(bytes_, WordSum(file.bytes().subspan(kHeaderBytes), pool), key_);
  return WriteAt(fd, &header, sizeof(header), 0);
}

std::optional<std::string> TileCache::WriteMatrices(int fd, ThreadPool& pool) {
  Progress progress("laying out weights", static_cast<int64_t>(rows_.size()), "matrices");
  std::vector<Line> lines(kHeaderBytes / sizeof(Line));  // of the file from `written` on
  uint64_t written = 0;
  for (size_t i = 0; i < rows_.size(); ++i) {
    lines.resize((offsets_[i + 1] - written) / sizeof(Line));
    Interleave(rows_[i], lines[(offsets_[i] - written) / sizeof(Line)].bytes, pool);
    DropSource(rows_[i]);
    const uint64_t end = i + 1 == rows_.size() ? bytes_ : offsets_[i + 1] / kPieceBytes * kPieceBytes;
    if (auto failed = WriteAt(fd, lines.data(), end - written, written)) return failed;
    lines.erase(lines.begin(), lines.begin() + static_cast<std::ptrdiff_t>((end - written) / sizeof(Line)));
    written = end;
    progress.Advance();
  }
  return std::nullopt;
}

void TileCache::HoldInMemory(ThreadPool& pool) {
  memory_.resize(bytes_ / sizeof(Line));
  for (size_t i = 0; i < rows_.size(); ++i) {
    Interleave(rows_[i], memory_[offsets_[i] / sizeof(Line)].bytes, pool);
    DropSource(rows_[i]);
  }
  PointTo(memory_[0].bytes);
}

}  // namespace ecld
