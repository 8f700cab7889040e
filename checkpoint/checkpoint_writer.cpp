#include "checkpoint/checkpoint_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cassert>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/files.h"
#include "core/log.h"
#include "core/progress.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr const char* kJournalName = "written.journal";

// Header bytes: length, JSON, and spaces so that the data begins on a multiple of 64.
std::string HeaderBytes(const Json& json) {
  std::string text = json.dump();
  text.append((64 - (8 + text.size()) % 64) % 64, ' ');
  uint64_t length = text.size();
  std::string header(8, '\0');
  std::memcpy(header.data(), &length, 8);
  return header + text;
}

void PWriteAll(int fd, std::span<const std::byte> bytes, uint64_t offset, const fs::path& path) {
  while (!bytes.empty()) {
    ssize_t written = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) Fail(path.string(), "cannot write {} bytes: {}", bytes.size(), std::strerror(errno));
    bytes = bytes.subspan(static_cast<size_t>(written));
    offset += static_cast<uint64_t>(written);
  }
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

void RefuseNotFinite(std::span<const float> values, const TensorSpec& spec, DType dtype) {
  // A finite float may still overflow the narrower type it is stored in.
  constexpr float kMaxBf16 = 3.3961776e38f, kMaxHalf = 65519.996f;
  float limit = dtype == DType::kF16 ? kMaxHalf : dtype == DType::kBF16 ? kMaxBf16 : INFINITY;
  for (size_t i = 0; i < values.size(); ++i)
    if (!(std::abs(values[i]) < limit))
      Fail(spec.name, "value {} at element {} cannot be stored as {}", values[i], i, Name(dtype));
}

}  // namespace

CheckpointWriter::CheckpointWriter(const fs::path& directory, const ModelConfig& config, uint64_t shard_bytes)
    : directory_(directory), config_(config), table_(TensorTable(config)) {
  LayOut(shard_bytes);
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) Fail(directory.string(), "cannot create: {}", error.message());
  bool resumed = Resume();
  for (auto& shard : shards_) {
    shard.fd = ::open(shard.path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    if (shard.fd < 0) Fail(shard.path.string(), "cannot write: {}", std::strerror(errno));
  }
  if (!resumed) Allocate();
  last_sync_ = std::chrono::steady_clock::now();
}

CheckpointWriter::~CheckpointWriter() {
  for (auto& shard : shards_)
    if (shard.fd >= 0) ::close(shard.fd);
}

void CheckpointWriter::LayOut(uint64_t shard_bytes) {
  std::vector<Json> headers;
  for (const auto& tensor : StoredTensors(config_)) {
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
    slots_.emplace(tensor.name, Slot{shards_.size() - 1, begin, bytes});
  }
  for (size_t i = 0; i < shards_.size(); ++i) {
    shards_[i].header = HeaderBytes(headers[i]);
    shards_[i].path =
        directory_ / (shards_.size() == 1 ? std::string("model.safetensors")
                                          : fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards_.size()));
  }
  for (auto& [name, slot] : slots_) slot.offset += shards_[slot.shard].header.size();
}

bool CheckpointWriter::Resume() {
  for (const auto& shard : shards_)
    if (!SameBytes(shard.path, shard.header, shard.header.size() + shard.data_bytes)) return false;
  if (!fs::exists(directory_ / kJournalName)) return false;
  std::string journal = ReadTextFile(directory_ / kJournalName);
  // A line that was being written when the run was killed has no newline yet and does not count; nor may the next line
  // be written behind it.
  fs::resize_file(directory_ / kJournalName, journal.rfind('\n') + 1);
  for (size_t begin = 0, end; (end = journal.find('\n', begin)) != std::string::npos; begin = end + 1)
    if (auto it = slots_.find(std::string_view(journal).substr(begin, end - begin)); it != slots_.end())
      it->second.committed = true;
  return true;
}

void CheckpointWriter::Allocate() {
  uint64_t needed = 0;
  for (const auto& shard : shards_) needed += shard.header.size() + shard.data_bytes;
  uint64_t available = FreeDiskBytes(directory_);
  for (auto& shard : shards_) available += fs::file_size(shard.path);
  if (needed > available)
    Fail(directory_.string(), "disk full: the checkpoint needs {}, {} are free", FormatBytes(needed),
         FormatBytes(available));
  std::error_code error;
  fs::remove(directory_ / kJournalName, error);
  for (auto& shard : shards_) {
    uint64_t size = shard.header.size() + shard.data_bytes;
    int failed = ::ftruncate(shard.fd, 0) != 0 ? errno : ::posix_fallocate(shard.fd, 0, static_cast<off_t>(size));
    if (failed != 0) Fail(shard.path.string(), "cannot allocate {}: {}", FormatBytes(size), std::strerror(failed));
    PWriteAll(shard.fd, std::as_bytes(std::span(shard.header)), 0, shard.path);
  }
  // Written last: its presence says that the layout is complete.
  WriteFileAtomically(directory_ / kJournalName, "");
}

void CheckpointWriter::Write(std::string_view name, std::span<const std::byte> bytes) { WritePiece(name, 0, bytes); }

void CheckpointWriter::WritePiece(std::string_view name, uint64_t offset, std::span<const std::byte> bytes) {
  auto it = slots_.find(name);
  assert(it != slots_.end() && "tensor is not part of the config");
  Slot& slot = it->second;
  assert(offset + bytes.size() <= slot.bytes);
  const Shard& shard = shards_[slot.shard];
  PWriteAll(shard.fd, bytes, slot.offset + offset, shard.path);
  slot.written += bytes.size();
  if (slot.written == slot.bytes) uncommitted_.emplace_back(name);
}

void CheckpointWriter::WriteFloats(const TensorSpec& spec, std::span<const float> values) {
  assert(values.size() == static_cast<size_t>(spec.Elements()));
  WriteFloatsPiece(spec, 0, values);
}

void CheckpointWriter::WriteFloatsPiece(const TensorSpec& spec, int64_t first_element, std::span<const float> values) {
  assert(!spec.format);
  constexpr size_t kChunk = 1 << 20;
  const size_t size = SizeOf(config_.dtype), first = static_cast<size_t>(first_element);
  std::vector<std::byte> buffer(std::min(kChunk, values.size()) * size);
  for (size_t done = 0; done < values.size(); done += kChunk) {
    auto chunk = values.subspan(done, std::min(kChunk, values.size() - done));
    RefuseNotFinite(chunk, spec, config_.dtype);
    FromFloat(config_.dtype, chunk.data(), chunk.size(), buffer.data());
    WritePiece(spec.name, (first + done) * size, std::span(buffer).first(chunk.size() * size));
  }
}

void CheckpointWriter::CopyFrom(const Checkpoint& source, const TensorSpec& spec) {
  for (const auto& part : StoredForm(spec, config_)) {
    const TensorView& view = source.Tensor(part.name);
    if (view.shape != part.shape)
      Fail(source.directory().string(), "tensor \"{}\" changed its shape; it cannot be copied", part.name);
    if (view.dtype == part.dtype) {
      Write(part.name, view.bytes);
    } else {
      std::vector<float> values(static_cast<size_t>(view.Elements()));
      ToFloat(view.dtype, view.bytes.data(), values.size(), values.data());
      RefuseNotFinite(values, spec, part.dtype);
      std::vector<std::byte> narrow(part.Bytes());
      FromFloat(part.dtype, values.data(), values.size(), narrow.data());
      Write(part.name, narrow);
    }
  }
}

void CheckpointWriter::Commit(bool force) {
  auto now = std::chrono::steady_clock::now();
  if (uncommitted_.empty() || (!force && now - last_sync_ < std::chrono::seconds(1))) return;
  last_sync_ = now;
  std::string lines;
  for (const auto& name : uncommitted_) {
    slots_.find(name)->second.committed = true;
    lines += name + "\n";
  }
  // Data before journal: a name in the journal must mean that its bytes are on disk.
  for (const auto& shard : shards_)
    if (::fdatasync(shard.fd) != 0) Fail(shard.path.string(), "cannot flush: {}", std::strerror(errno));
  fs::path path = directory_ / kJournalName;
  int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CLOEXEC);
  bool written = fd >= 0 && ::write(fd, lines.data(), lines.size()) == static_cast<ssize_t>(lines.size());
  int saved = errno;
  if (fd >= 0) ::close(fd);
  if (!written) Fail(path.string(), "cannot write: {}", std::strerror(saved));
  uncommitted_.clear();
}

bool CheckpointWriter::IsWritten(const TensorSpec& spec) const {
  for (const auto& part : StoredForm(spec, config_)) {
    const Slot& slot = slots_.find(part.name)->second;
    if (!slot.committed && slot.written < slot.bytes) return false;
  }
  return true;
}

bool CheckpointWriter::LayerWritten(int64_t layer) const {
  return std::all_of(table_.begin(), table_.end(),
                     [&](const TensorSpec& spec) { return spec.layer != layer || IsWritten(spec); });
}

void CheckpointWriter::Finish(const fs::path& source_directory) {
  for (const auto& spec : table_)
    if (!IsWritten(spec)) throw std::logic_error("pass did not write " + spec.name);
  Commit(true);
  if (shards_.size() > 1) {
    Json map = Json::object();
    uint64_t total = 0;
    for (const auto& tensor : StoredTensors(config_)) {
      map[tensor.name] = shards_[slots_.find(tensor.name)->second.shard].path.filename().string();
      total += tensor.Bytes();
    }
    WriteJsonFile(directory_ / "model.safetensors.index.json",
                  {{"metadata", {{"total_size", total}}}, {"weight_map", map}});
  }
  WriteJsonFile(directory_ / "config.json", ToJson(config_));
  CopyTokenizerFiles(source_directory, directory_);
  fs::remove(directory_ / kJournalName);
  SyncPath(directory_);
}

void CopyTokenizerFiles(const fs::path& from, const fs::path& to) {
  constexpr std::array kNames = {
      "tokenizer.json", "tokenizer.model", "tokenizer_config.json",  "special_tokens_map.json", "added_tokens.json",
      "vocab.json",     "merges.txt",      "generation_config.json", "chat_template.jinja"};
  for (const char* name : kNames) {
    if (!fs::exists(from / name)) continue;
    std::error_code error;
    fs::copy_file(from / name, to / name, fs::copy_options::overwrite_existing, error);
    if (error) Fail((to / name).string(), "cannot copy: {}", error.message());
  }
}

}  // namespace ecld
