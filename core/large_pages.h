#pragma once
// Memory for what is read again and again as a stream: in large pages where the system has them (2 MiB; Linux), which
// processors read a good deal faster than small ones. An allocator. Blocks of that size are mappings of their own, so
// that they go back to the system when they are freed: the heap would keep them, and a server's caches come and go.
// What is smaller comes from the heap, aligned to 64 bytes.
//
//   std::vector<Line, LargePages<Line>> weights(count);

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <new>

namespace ecld {

constexpr size_t kLargePageBytes = size_t{2} << 20;

// bytes on a border of large pages. THROWS std::bad_alloc.
inline void* MapLargePages(size_t bytes) {
  // The system puts a mapping anywhere; so one page more is asked for, and what lies around the borders given back.
  const size_t asked = bytes + kLargePageBytes;
  void* const found =
      asked < bytes ? MAP_FAILED : ::mmap(nullptr, asked, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (found == MAP_FAILED) throw std::bad_alloc();
  auto* const begin = static_cast<std::byte*>(found);
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
    return static_cast<T*>(bytes < kLargePageBytes ? ::operator new(bytes, kAlignment) : MapLargePages(bytes));
  }
  void deallocate(T* memory, size_t count) {
    if (const size_t bytes = Bytes(count); bytes < kLargePageBytes)
      ::operator delete(memory, kAlignment);
    else
      ::munmap(memory, bytes);
  }

  friend bool operator==(const LargePages&, const LargePages&) { return true; }

 private:
  static constexpr std::align_val_t kAlignment{64};

  // Of count elements; of mappings, whole pages of any system.
  static size_t Bytes(size_t count) {
    constexpr size_t kPage = 64 << 10;
    const size_t bytes = count * sizeof(T);
    return bytes < kLargePageBytes ? bytes : (bytes + kPage - 1) / kPage * kPage;
  }
};

}  // namespace ecld
