#include "checkpoint/shard_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstring>

#include "core/error.h"
#include "core/files.h"
#include "core/json.h"
#include "core/progress.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

// Header bytes: length, JSON, and spaces so that the data begins on a multiple of 64.
std::string HeaderBytes(const Json& json) {
  std::string text = json.dump();
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  uint64_t length = text.size();
  std::string header(8, '\0');
  std::memcpy(header.data(), &length, 8);
  return header + text;
}

bool SameBytes(const fs::path& path, const std::string& header, uint64_t size) {
  std::error_code error;
  if (fs::file_size(path, error) != size || error) return false;
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::string found(header.size(), '\0');
  bool same = ::pread(fd, found.data(), found.size(), 0) == static_cast<ssize_t>(found.size()) && found == header;
  ::close(fd);
  return same;
}

}  // namespace

void PWriteAll(int fd, std::span<const std::byte> bytes, uint64_t offset, const fs::path& path) {
  while (!bytes.empty()) {
    ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) Fail(path.string(), "cannot write {} bytes: {}", bytes.size(), std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
}

ShardWriter::ShardWriter(fs::path directory, std::vector<StoredTensor> tensors, uint64_t shard_bytes)
    : directory_(std::move(directory)), tensors_(std::move(tensors)) {
  std::vector<Json> headers;
  for (const auto& tensor : tensors_) {
    uint64_t bytes = tensor.Bytes();
    if (shards_.empty() || shards_.back().data_bytes + bytes > shard_bytes) {
      if (shards_.empty() || shards_.back().data_bytes > 0) {
        shards_.emplace_back();
        headers.push_back({{"__metadata__", {{"format", "pt"}}}});
      }
    }
    Shard& shard = shards_.back();
    uint64_t begin = shard.data_bytes;
    shard.data_bytes += bytes;
    headers.back()[tensor.name] = {
        {"dtype", Name(tensor.dtype)}, {"shape", tensor.shape}, {"data_offsets", {begin, begin + bytes}}};
    places_.emplace(tensor.name, Place{shards_.size() - 1, begin, bytes});
  }
  for (size_t i = 0; i < shards_.size(); ++i) {
    shards_[i].header = HeaderBytes(headers[i]);
    shards_[i].path =
        directory_ / (shards_.size() == 1 ? std::string("model.safetensors")
                                          : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards_.size()));
  }
  for (auto& [name, place] : places_) place.offset += shards_[place.shard].header.size();
}

ShardWriter::~ShardWriter() {
  for (auto& shard : shards_)
    if (shard.fd >= 0) ::close(shard.fd);
}

bool ShardWriter::FilesFit() const {
  for (const auto& shard : shards_)
    if (!SameBytes(shard.path, shard.header, shard.header.size() + shard.data_bytes)) return false;
  return true;
}

void ShardWriter::Open() {
  for (auto& shard : shards_) {
    shard.fd = ::open(shard.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (shard.fd < 0) Fail(shard.path.string(), "cannot write: {}", std::strerror(errno));
  }
}

uint64_t ShardWriter::FileBytes() const {
  uint64_t bytes = 0;
  for (const auto& shard : shards_) bytes += shard.header.size() + shard.data_bytes;
  return bytes;
}

void ShardWriter::Allocate() {
  const uint64_t needed = FileBytes();
  uint64_t available = FreeDiskBytes(directory_);
  for (auto& shard : shards_) available += fs::file_size(shard.path);
  if (needed > available)
    Fail(directory_.string(), "disk full: the checkpoint needs {}, {} are free", FormatBytes(needed),
         FormatBytes(available));
  for (auto& shard : shards_) {
    uint64_t size = shard.header.size() + shard.data_bytes;
    int failed = ::ftruncate(shard.fd, 0) != 0 ? errno : ::posix_fallocate(shard.fd, 0, static_cast<off_t>(size));
    if (failed != 0) Fail(shard.path.string(), "cannot allocate {}: {}", FormatBytes(size), std::strerror(failed));
    PWriteAll(shard.fd, std::as_bytes(std::span(shard.header)), 0, shard.path);
  }
}

void ShardWriter::WritePiece(std::string_view name, uint64_t offset, std::span<const std::byte> bytes) {
  auto it = places_.find(name);
  assert(it != places_.end() && "tensor is not part of the layout");
  const Place& place = it->second;
  assert(offset + bytes.size() <= place.bytes);
  const Shard& shard = shards_[place.shard];
  PWriteAll(shard.fd, bytes, place.offset + offset, shard.path);
  // The disk begins at once, so that Sync has less to wait for. Only a hint: Sync is what makes sure.
  ::sync_file_range(shard.fd, static_cast<off_t>(place.offset + offset), static_cast<off_t>(bytes.size()),
                    SYNC_FILE_RANGE_WRITE);
}

void ShardWriter::Sync() const {
  for (const auto& shard : shards_)
    if (::fdatasync(shard.fd) != 0) Fail(shard.path.string(), "cannot flush: {}", std::strerror(errno));
}

void ShardWriter::WriteIndex() const {
  if (shards_.size() <= 1) return;
  Json map = Json::object();
  uint64_t total = 0;
  for (const auto& tensor : tensors_) {
    map[tensor.name] = shards_[places_.find(tensor.name)->second.shard].path.filename().string();
    total += tensor.Bytes();
  }
  WriteJsonFile(directory_ / "model.safetensors.index.json",
                {{"metadata", {{"total_size", total}}}, {"weight_map", map}});
}

}  // namespace ecld
