#include "runtime/tile_cache.h"

#include <chrono>
#include <utility>

#include "checkpoint/cache_file.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/progress.h"
#include "kernels/packing/interleaved.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kVersion = 1;  // of cache_file.h, of interleaved.h and of word_sum.h together
constexpr uint64_t kAlignment = 64;
// The file is written in aligned pieces of this size: the system then keeps it in large pages, and the processor reads
// those a good deal faster than small ones.
constexpr uint64_t kPieceBytes = 2 << 20;

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

}  // namespace

TileCache::TileCache(const Checkpoint& checkpoint, const std::vector<WeightView>& rows, int threads)
    : path_(FileOf(checkpoint.directory())), rows_(rows) {
  uint64_t offset = kCacheHeaderBytes;
  for (const WeightView& weight : rows_) {
    offsets_.push_back(offset);
    offset += (InterleavedBytes(weight) + kAlignment - 1) / kAlignment * kAlignment;
  }
  offsets_.push_back(offset);
  bytes_ = offset;
  ThreadPool pool(threads);
  const auto reason = UseFile(KeyOf(checkpoint, rows), pool);
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

std::optional<std::string> TileCache::UseFile(const std::string& key, ThreadPool& pool) {
  const CacheIdentity identity{"ECLDTILE", kVersion, key, bytes_};
  file_ = OpenCacheFile(path_, identity, pool);
  std::optional<double> seconds;
  const auto write = [&](int fd) {
    const auto start = std::chrono::steady_clock::now();
    auto failed = WriteMatrices(fd, pool);
    seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return failed;
  };
  if (!file_)
    if (auto failed = MakeCacheFile(path_, identity, pool, write, &file_)) return failed;
  if (seconds)
    LogInfo("{} of packed weights laid out for this processor in {}, once: {}", FormatBytes(bytes_),
            FormatDuration(*seconds), path_.string());
  PointTo(file_->bytes().data());
  return std::nullopt;
}

std::optional<std::string> TileCache::WriteMatrices(int fd, ThreadPool& pool) {
  Progress progress("laying out weights", static_cast<int64_t>(rows_.size()), "matrices");
  std::vector<Line> lines(kCacheHeaderBytes / sizeof(Line));  // of the file from `written` on
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
