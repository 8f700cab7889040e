#pragma once
// A file mapped read-only into memory. Pages are loaded on first touch and can be dropped again by the kernel,
// so mapping a checkpoint larger than memory costs nothing. Move-only; unmapped on destruction.

#include <cstddef>
#include <filesystem>
#include <span>

namespace ecld {

class MappedFile {
 public:
  // THROWS Error when the file cannot be opened, is not a regular file, or cannot be mapped. An empty file maps to
  // an empty span.
  explicit MappedFile(const std::filesystem::path& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::filesystem::path& path() const { return path_; }

  // Tells the kernel that these bytes are not needed for now: a pass that streams through a model larger than
  // memory calls this after each block, so that resident memory stays at one block.
  static void DropPages(std::span<const std::byte> bytes);

 private:
  std::filesystem::path path_;
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace ecld
