#include "checkpoint/checkpoint_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cassert>
#include <cerrno>
#include <cmath>
#include <cstring>

#include "checkpoint/side_files.h"
#include "core/error.h"
#include "core/files.h"
#include "core/log.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr const char* kJournalName = "written.journal";

// values: of a parameter, from element first on.
void RefuseNotFinite(std::span<const float> values, size_t first, const TensorSpec& spec, DType dtype) {
  // A finite float may still overflow the narrower type it is stored in.
  constexpr float kMaxBf16 = 3.3961776e38f, kMaxHalf = 65519.996f;
  float limit = dtype == DType::kF16 ? kMaxHalf : dtype == DType::kBF16 ? kMaxBf16 : INFINITY;
  for (size_t i = 0; i < values.size(); ++i)
    if (!(std::abs(values[i]) < limit))
      Fail(spec.name, "value {} at element {} cannot be stored as {}", values[i], first + i, Name(dtype));
}

}  // namespace

CheckpointWriter::CheckpointWriter(const fs::path& directory, const ModelConfig& config, uint64_t shard_bytes)
    : directory_(directory),
      config_(config),
      table_(TensorTable(config)),
      shards_(directory, StoredTensors(config), shard_bytes) {
  for (const auto& tensor : shards_.tensors()) slots_.emplace(tensor.name, Slot{tensor.Bytes()});
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) Fail(directory.string(), "cannot create: {}", error.message());
  const bool resumed = Resume();
  shards_.Open();
  if (!resumed) {
    fs::remove(directory_ / kJournalName, error);
    shards_.Allocate();
    // Written last: its presence says that the layout is complete.
    WriteFileAtomically(directory_ / kJournalName, "");
  }
  last_sync_ = std::chrono::steady_clock::now();
}

bool CheckpointWriter::Resume() {
  if (!shards_.FilesFit() || !fs::exists(directory_ / kJournalName)) return false;
  std::string journal = ReadFile(directory_ / kJournalName);
  // A line that was being written when the run was killed has no newline yet and does not count; nor may the next line
  // be written behind it.
  fs::resize_file(directory_ / kJournalName, journal.rfind('\n') + 1);
  for (size_t begin = 0, end; (end = journal.find('\n', begin)) != std::string::npos; begin = end + 1)
    if (auto it = slots_.find(std::string_view(journal).substr(begin, end - begin)); it != slots_.end())
      it->second.committed = true;
  return true;
}

void CheckpointWriter::Write(std::string_view name, std::span<const std::byte> bytes) { WritePiece(name, 0, bytes); }

void CheckpointWriter::WritePiece(std::string_view name, uint64_t offset, std::span<const std::byte> bytes) {
  auto it = slots_.find(name);
  assert(it != slots_.end() && "tensor is not part of the config");
  Slot& slot = it->second;
  assert(offset + bytes.size() <= slot.bytes);
  shards_.WritePiece(name, offset, bytes);
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
  std::vector<float> less;
  if (spec.stored_less != 0) {
    less.assign(values.begin(), values.end());
    for (float& value : less) value -= spec.stored_less;
    values = less;
  }
  for (size_t done = 0; done < values.size(); done += kChunk) {
    auto chunk = values.subspan(done, std::min(kChunk, values.size() - done));
    RefuseNotFinite(chunk, first + done, spec, config_.dtype);
    FromFloat(config_.dtype, chunk.data(), chunk.size(), buffer.data());
    WritePiece(spec.name, (first + done) * size, std::span(buffer).first(chunk.size() * size));
  }
}

void CheckpointWriter::CopyFrom(const Checkpoint& source, const TensorSpec& spec) {
  for (const auto& part : StoredForm(spec, config_)) {
    const TensorView& view = source.Tensor(part.name);
    if (view.shape != part.shape)
      Fail(source.directory().string(), "tensor \"{}\" changed its shape; it cannot be copied", part.name);
    CopyTensor(view, spec, part);
  }
}

// In pieces, each dropped from memory when it is written: an embedding may be as large as many blocks.
void CheckpointWriter::CopyTensor(const TensorView& view, const TensorSpec& spec, const StoredTensor& part) {
  constexpr int64_t kPiece = int64_t{16} << 20;  // elements
  const size_t from_size = SizeOf(view.dtype), to_size = SizeOf(part.dtype);
  std::vector<float> values;
  std::vector<std::byte> converted;
  for (int64_t first = 0; first < view.Elements(); first += kPiece) {
    const auto count = static_cast<size_t>(std::min(kPiece, view.Elements() - first));
    const auto source = view.bytes.subspan(static_cast<size_t>(first) * from_size, count * from_size);
    const uint64_t offset = static_cast<uint64_t>(first) * to_size;
    if (view.dtype == part.dtype) {
      WritePiece(part.name, offset, source);
    } else {
      values.resize(count);
      converted.resize(count * to_size);
      ToFloat(view.dtype, source.data(), count, values.data());
      RefuseNotFinite(values, static_cast<size_t>(first), spec, part.dtype);
      FromFloat(part.dtype, values.data(), count, converted.data());
      WritePiece(part.name, offset, converted);
    }
    MappedFile::DropPages(source);
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
  shards_.Sync();
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
  shards_.WriteIndex();
  WriteJsonFile(directory_ / "config.json", ToJson(config_));
  CopySideFiles(source_directory, directory_, Weights::kChanged);
  fs::remove(directory_ / kJournalName);
  SyncPath(directory_);
}

void RequireReplaceableDirectory(const fs::path& directory) {
  std::error_code error;
  if (!fs::exists(directory, error) || fs::exists(directory / "config.json", error)) return;
  if (!fs::is_directory(directory, error) || !fs::is_empty(directory, error))
    Fail(directory.string(), "exists and is no checkpoint; it would be replaced. Choose another output");
}

}  // namespace ecld
