#pragma once
// Memory for what is read again and again as a stream: in large pages where the system has them (2 MiB; Linux), which
// processors read a good deal faster than small ones. An allocator; what is too small for it is aligned to 64 bytes.
//
//   std::vector<Line, LargePages<Line>> weights(count);

#include <sys/mman.h>

#include <cstddef>
#include <new>

namespace ecld {

template <typename T>
struct LargePages {
  using value_type = T;
  static constexpr size_t kPageBytes = size_t{2} << 20;

  LargePages() = default;
  template <typename Other>
  explicit(false) LargePages(const LargePages<Other>&) {}

  T* allocate(size_t count) {
    void* const memory = ::operator new(count * sizeof(T), Alignment(count));
    if (count * sizeof(T) >= kPageBytes) ::madvise(memory, count * sizeof(T), MADV_HUGEPAGE);
    return static_cast<T*>(memory);
  }
  void deallocate(T* memory, size_t count) { ::operator delete(memory, Alignment(count)); }

  friend bool operator==(const LargePages&, const LargePages&) { return true; }

 private:
  static std::align_val_t Alignment(size_t count) {
    return std::align_val_t{count * sizeof(T) >= kPageBytes ? kPageBytes : size_t{64}};
  }
};

}  // namespace ecld
