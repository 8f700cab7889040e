#pragma once
// EXPECT_ERROR(statement, "part of the message"): the statement throws ecld::Error, and its text says this.
// Anything else fails: no throw, another type of exception, another text.

#include <gtest/gtest.h>

#include <exception>
#include <string>
#include <string_view>

#include "core/error.h"

namespace ecld {

template <class Statement>
testing::AssertionResult ThrowsError(Statement&& statement, std::string_view part) {
  try {
    statement();
  } catch (const Error& error) {
    if (std::string_view(error.what()).find(part) != std::string_view::npos) return testing::AssertionSuccess();
    return testing::AssertionFailure() << "the Error says \"" << error.what() << "\", not \"" << part << "\"";
  } catch (const std::exception& other) {
    return testing::AssertionFailure() << "not an ecld::Error: " << other.what();
  }
  return testing::AssertionFailure() << "no Error, expected \"" << part << "\"";
}

}  // namespace ecld

#define EXPECT_ERROR(statement, part) \
  EXPECT_TRUE(::ecld::ThrowsError([&] { static_cast<void>(statement); }, part)) << #statement
