#pragma once
// A library of the machine which is opened when it is first needed rather than when the program starts, such as a
// driver's: the program runs where there is none, until somebody asks for it.
//
//   const auto blas = SharedLibrary::Open("cuBLAS", {"libcublas.so.13", "libcublas.so.12"});
//   auto* create = blas.Function<int(void**)>("cublasCreate_v2");

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace ecld {

class SharedLibrary {
 public:
  // The first of names that opens: a file name, which the loader looks up as the system and LD_LIBRARY_PATH say, or a
  // path. what: for the error. THROWS Error with every name that was tried and what the loader said of it.
  static SharedLibrary Open(std::string_view what, std::span<const std::string> names);
  static SharedLibrary Open(std::string_view what, std::initializer_list<std::string> names) {
    return Open(what, std::span(names.begin(), names.size()));
  }

  SharedLibrary(SharedLibrary&& other) noexcept;
  SharedLibrary& operator=(SharedLibrary&&) = delete;
  ~SharedLibrary();

  // The function of this name. Type: its type as the library's maker declares it. THROWS Error when there is none.
  template <class Type>
  Type* Function(const char* name) const {
    return reinterpret_cast<Type*>(Address(name));
  }

  const std::string& name() const { return name_; }  // the one that opened

 private:
  SharedLibrary(void* handle, std::string name) : handle_(handle), name_(std::move(name)) {}
  void* Address(const char* name) const;

  void* handle_;
  std::string name_;
};

}  // namespace ecld
