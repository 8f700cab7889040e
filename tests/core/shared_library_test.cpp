#include "core/shared_library.h"

#include <gtest/gtest.h>

#include <utility>

#include "tests/testing/expect_error.h"

namespace ecld {
namespace {

TEST(SharedLibrary, TheFirstThatOpensIsUsed) {
  SharedLibrary library = SharedLibrary::Open("the C library", {"libc-of-nowhere.so.1", "libc.so.6"});
  EXPECT_EQ(library.name(), "libc.so.6");
  const SharedLibrary moved = std::move(library);
  EXPECT_EQ(moved.Function<int(int)>("abs")(-3), 3);
}

TEST(SharedLibrary, WhatWasLookedForIsSaid) {
  EXPECT_ERROR(SharedLibrary::Open("cuBLAS", {"libnone.so.1", "/nowhere/libnone.so"}),
               "cuBLAS: no library of it could be opened; looked for libnone.so.1 (libnone.so.1: cannot open");
  EXPECT_ERROR(SharedLibrary::Open("cuBLAS", {"libnone.so.1", "/nowhere/libnone.so"}), "/nowhere/libnone.so (");
  EXPECT_ERROR(SharedLibrary::Open("the C library", {"libc.so.6"}).Function<void()>("ecld_is_not_there"),
               "libc.so.6: has no function ecld_is_not_there");
}

}  // namespace
}  // namespace ecld
