#pragma once
// What lies in a model directory beside config and weights, and belongs to the model all the same: tokenizer, chat
// templates, licenses, code. All of it is carried along when a directory is made from another. Left out, by name, is
// what is true of the old one alone (weights in other forms, records of how it was made and, after a pass, its model
// card), and what is not known as a part of a model.

#include <filesystem>
#include <string>
#include <vector>

namespace ecld {

// Whether what is made has the same weights (an export), or others (a pass).
enum class Weights { kSame, kChanged };

struct SideFiles {
  struct LeftOut {
    std::string name, why;
  };
  std::vector<std::filesystem::path> carried;  // relative; a folder stands for all in it
  std::vector<LeftOut> left_out;               // a folder as a whole
};

// Of a model directory. Hidden files, and what ECLD itself writes for each directory, are in neither list.
SideFiles FindSideFiles(const std::filesystem::path& directory, Weights weights);

// Copies what is carried and says in the log what is left out. THROWS Error: unreadable, disk full.
void CopySideFiles(const std::filesystem::path& from, const std::filesystem::path& to, Weights weights);

}  // namespace ecld
