#pragma once
// Memory for what is read again and again as a stream: in large pages where the system has them (2 MiB; Linux), which
// processors read a good deal faster than small ones. An allocator. All but small blocks are mappings of their own, so
// that they go back to the system when they are freed: the heap would keep them, and a server's caches come and go.
// Small ones come from the heap, aligned to 64 bytes.
//
//   std::vector<Line, LargePages<Line>> weights(count);

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace ecld {

constexpr size_t kLargePageBytes = size_t{2} << 20;

// A mapping of its own. THROWS std::bad_alloc.
inline std::byte* MapMemory(size_t bytes) {
  void* const found = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED) throw std::bad_alloc();
  return static_cast<std::byte*>(found);
}

// The same on a border of large pages. The system puts a mapping anywhere; so one page more is asked for, and what lies
// around the borders given back.
inline std::byte* MapLargePages(size_t bytes) {
  std::byte* const begin = MapMemory(bytes + kLargePageBytes);
  const size_t before = -reinterpret_cast<uintptr_t>(begin) % kLargePageBytes;
  if (before > 0) ::munmap(begin, before);
  ::munmap(begin + before + bytes, kLargePageBytes - before);
  ::madvise(begin + before, bytes, MADV_HUGEPAGE);
  return begin + before;
}

template <typename T>
struct LargePages {
  using value_type = T;

  LargePages() = default;
  template <typename Other>
  explicit(false) LargePages(const LargePages<Other>&) {}

  T* allocate(size_t count) {
    const size_t bytes = Bytes(count);
    if (bytes < kMappedBytes) return static_cast<T*>(::operator new(bytes, kAlignment));
    return reinterpret_cast<T*>(bytes < kLargePageBytes ? MapMemory(bytes) : MapLargePages(bytes));
  }
  void deallocate(T* memory, size_t count) {
    if (const size_t bytes = Bytes(count); bytes < kMappedBytes)
      ::operator delete(memory, kAlignment);
    else
      ::munmap(memory, bytes);
  }

  friend bool operator==(const LargePages&, const LargePages&) { return true; }

 private:
  static constexpr std::align_val_t kAlignment{64};
  static constexpr size_t kMappedBytes = 128 << 10;

  // Of count elements; of mappings, whole pages of any system.
  static size_t Bytes(size_t count) {
    constexpr size_t kPage = 64 << 10;
    const size_t bytes = count * sizeof(T);
    return bytes < kMappedBytes ? bytes : (bytes + kPage - 1) / kPage * kPage;
  }
};

}  // namespace ecld
