#include "distill/saved_state.h"

#include <cassert>
#include <cstring>
#include <optional>

#include "checkpoint/cache_file.h"
#include "core/error.h"
#include "core/mapped_file.h"

namespace ecld {
namespace {

constexpr uint64_t kAlignment = 64;

uint64_t RoomFor(const at::Tensor& tensor) { return (tensor.nbytes() + kAlignment - 1) / kAlignment * kAlignment; }

CacheIdentity IdentityOf(const std::string& key, const std::vector<at::Tensor>& tensors) {
  return {.magic = "ecldstat", .key = key, .bytes = SavedState::Bytes(tensors)};
}

}  // namespace

uint64_t SavedState::Bytes(const std::vector<at::Tensor>& tensors) {
  uint64_t bytes = kCacheHeaderBytes;
  for (const at::Tensor& tensor : tensors) bytes += RoomFor(tensor);
  return bytes;
}

void SavedState::Save(const std::string& name, const std::vector<at::Tensor>& tensors) const {
  const auto content = [&](int fd) -> std::optional<std::string> {
    uint64_t offset = kCacheHeaderBytes;
    for (const at::Tensor& tensor : tensors) {
      assert(tensor.is_contiguous());
      if (auto failed = WriteAt(fd, tensor.const_data_ptr(), tensor.nbytes(), offset)) return failed;
      offset += RoomFor(tensor);
    }
    return std::nullopt;
  };
  std::optional<MappedFile> file;
  if (const auto failed = MakeCacheFile(directory_ / name, IdentityOf(key_, tensors), pool_, content, &file))
    Fail((directory_ / name).string(), "the state of the run cannot be written: {}; it takes {} bytes", *failed,
         Bytes(tensors));
}

bool SavedState::Load(const std::string& name, const std::vector<at::Tensor>& tensors) const {
  const std::optional<MappedFile> file = OpenCacheFile(directory_ / name, IdentityOf(key_, tensors), pool_);
  if (!file) return false;
  const std::byte* from = file->bytes().data() + kCacheHeaderBytes;
  for (const at::Tensor& tensor : tensors) {
    std::memcpy(tensor.mutable_data_ptr(), from, tensor.nbytes());
    from += RoomFor(tensor);
  }
  return true;
}

}  // namespace ecld
