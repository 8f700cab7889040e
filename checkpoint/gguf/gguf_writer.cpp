#include "checkpoint/gguf/gguf_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <cassert>
#include <cerrno>
#include <cstring>
#include <limits>
#include <type_traits>

#include "checkpoint/gguf/gguf_file.h"
#include "checkpoint/shard_writer.h"
#include "core/error.h"
#include "core/files.h"
#include "core/progress.h"

namespace ecld {
namespace {

constexpr uint64_t kAlignment = 32;  // what readers assume where general.alignment is absent
constexpr uint32_t kVersion = 3;

uint64_t Aligned(uint64_t bytes) { return (bytes + kAlignment - 1) / kAlignment * kAlignment; }

template <class T>
void Append(std::string* out, const T& value) {
  if constexpr (std::is_arithmetic_v<T>) {
    out->append(reinterpret_cast<const char*>(&value), sizeof value);
  } else {
    Append(out, uint64_t{value.size()});
    out->append(value);
  }
}

constexpr uint32_t Number(GgufValueType type) { return static_cast<uint32_t>(type); }

}  // namespace

GgufWriter::~GgufWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void GgufWriter::BeginKey(std::string_view name, uint32_t type) {
  ++key_count_;
  Append(&keys_, name);
  Append(&keys_, type);
}

template <class T>
void GgufWriter::Array(std::string_view name, uint32_t type, const std::vector<T>& values) {
  BeginKey(name, Number(GgufValueType::kArray));
  Append(&keys_, type);
  Append(&keys_, uint64_t{values.size()});
  for (const T& value : values) Append(&keys_, value);
}

void GgufWriter::Key(std::string_view name, uint32_t value) {
  BeginKey(name, Number(GgufValueType::kU32));
  Append(&keys_, value);
}

void GgufWriter::Key(std::string_view name, int64_t value) {
  if (value < 0 || value > std::numeric_limits<uint32_t>::max()) Fail(name, "GGUF cannot hold {} here", value);
  Key(name, static_cast<uint32_t>(value));
}

void GgufWriter::Key(std::string_view name, float value) {
  BeginKey(name, Number(GgufValueType::kF32));
  Append(&keys_, value);
}

void GgufWriter::Key(std::string_view name, bool value) {
  BeginKey(name, Number(GgufValueType::kBool));
  Append(&keys_, static_cast<uint8_t>(value));
}

void GgufWriter::Key(std::string_view name, const std::string& value) {
  BeginKey(name, Number(GgufValueType::kString));
  Append(&keys_, value);
}

void GgufWriter::Key(std::string_view name, const std::vector<std::string>& values) {
  Array(name, Number(GgufValueType::kString), values);
}
void GgufWriter::Key(std::string_view name, const std::vector<int32_t>& values) {
  Array(name, Number(GgufValueType::kI32), values);
}
void GgufWriter::Key(std::string_view name, const std::vector<float>& values) {
  Array(name, Number(GgufValueType::kF32), values);
}

void GgufWriter::Tensor(std::string name, GgmlType type, std::vector<int64_t> shape) {
  const GgmlTypeInfo& info = InfoOf(type);
  assert(shape.back() % info.block_elements == 0);
  auto bytes = static_cast<uint64_t>(info.block_bytes * (shape.back() / info.block_elements));
  for (size_t i = 0; i + 1 < shape.size(); ++i) bytes *= static_cast<uint64_t>(shape[i]);
  tensors_.push_back({std::move(name), type, std::move(shape), data_bytes_, bytes});
  data_bytes_ = Aligned(data_bytes_ + bytes);
}

std::string GgufWriter::Header() const {
  std::string header = "GGUF";
  Append(&header, kVersion);
  Append(&header, uint64_t{tensors_.size()});
  Append(&header, key_count_);
  header += keys_;
  for (const TensorInfo& tensor : tensors_) {
    Append(&header, tensor.name);
    Append(&header, static_cast<uint32_t>(tensor.shape.size()));
    for (size_t i = tensor.shape.size(); i-- > 0;) Append(&header, static_cast<uint64_t>(tensor.shape[i]));
    Append(&header, static_cast<uint32_t>(tensor.type));
    Append(&header, tensor.offset);
  }
  header.resize(Aligned(header.size()));
  return header;
}

uint64_t GgufWriter::FileBytes() const { return Header().size() + data_bytes_; }

void GgufWriter::Create(const std::filesystem::path& path) {
  path_ = path;
  fd_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) Fail(path.string(), "cannot write: {}", std::strerror(errno));
  const std::string header = Header();
  data_begin_ = header.size();
  const uint64_t size = header.size() + data_bytes_;
  if (int failed = ::posix_fallocate(fd_, 0, static_cast<off_t>(size)); failed != 0)
    Fail(path.string(), "cannot allocate {}: {}", FormatBytes(size), std::strerror(failed));
  PWriteAll(fd_, std::as_bytes(std::span(header)), 0, path);
}

void GgufWriter::Write(size_t index, uint64_t offset, std::span<const std::byte> bytes) {
  const TensorInfo& tensor = tensors_[index];
  assert(offset + bytes.size() <= tensor.bytes);
  PWriteAll(fd_, bytes, data_begin_ + tensor.offset + offset, path_);
}

void GgufWriter::Sync() const { SyncPath(path_); }

}  // namespace ecld
