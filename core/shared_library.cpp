#include "core/shared_library.h"

#include <dlfcn.h>

#include <utility>

#include "core/error.h"

namespace ecld {

SharedLibrary SharedLibrary::Open(std::string_view what, std::span<const std::string> names) {
  std::string tried;
  for (const std::string& name : names) {
    if (void* handle = dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) return {handle, name};
    const char* said = dlerror();
    tried += fmt::format("{}{} ({})", tried.empty() ? "" : ", ", name, said != nullptr ? said : "no reason given");
  }
  Fail(what, "no library of it could be opened; looked for {}", tried);
}

SharedLibrary::SharedLibrary(SharedLibrary&& other) noexcept
    : handle_(std::exchange(other.handle_, nullptr)), name_(std::move(other.name_)) {}

SharedLibrary::~SharedLibrary() {
  if (handle_ != nullptr) dlclose(handle_);
}

void* SharedLibrary::Address(const char* name) const {
  void* address = dlsym(handle_, name);
  if (address == nullptr) Fail(name_, "has no function {}", name);
  return address;
}

}  // namespace ecld
