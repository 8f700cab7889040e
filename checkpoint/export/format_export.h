#pragma once
// What the formats that a checkpoint can be exported to have in common. Making one reads what it needs of the weights
// and throws for everything that the format cannot hold exactly, so that nothing is written in vain.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "checkpoint/checkpoint.h"

namespace ecld {

// A parameter as it will be stored.
struct ExportedTensor {
  std::string name;      // in the checkpoint
  std::string from, to;  // formats: "W4 g32 sym", "Q4_0"
  uint64_t bytes;        // in the export
};

class FormatExport {
 public:
  virtual ~FormatExport() = default;

  virtual std::vector<ExportedTensor> Tensors() const = 0;
  virtual uint64_t FileBytes() const = 0;                        // of all files with weights
  virtual std::vector<std::string> Notes() const { return {}; }  // what the user should know
  virtual bool IsDirectory() const { return true; }              // else one file

  // Writes a directory (which exists and is empty) or a file. THROWS Error: disk full, unwritable.
  virtual void Write(const std::filesystem::path& staged) const = 0;
  // Reads what was written and compares it with the checkpoint: every weight bit for bit. THROWS Error.
  virtual void Verify(const std::filesystem::path& staged) const = 0;
};

// The three formats. in must outlive the result.
std::unique_ptr<FormatExport> MakeCompressedTensorsExport(const Checkpoint& in);
std::unique_ptr<FormatExport> MakeGptqExport(const Checkpoint& in);
std::unique_ptr<FormatExport> MakeGgufExport(const Checkpoint& in);

// "W4 g32 sym", "BF16".
std::string StoredFormatName(const Checkpoint& in, const TensorSpec& spec);

// THROWS Error naming the parameter and the first row and column at which two rows of it differ in any bit.
void RequireEqualRow(const std::string& where, const std::string& name, int64_t row, const std::vector<float>& expected,
                     const std::vector<float>& found);

}  // namespace ecld
