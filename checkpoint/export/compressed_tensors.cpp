// A checkpoint copied as it is: its format is compressed-tensors already. Every file that belongs to it is copied and
// compared byte by byte.

#include <algorithm>
#include <fstream>

#include "checkpoint/export/format_export.h"
#include "checkpoint/side_files.h"
#include "core/error.h"
#include "core/files.h"
#include "core/hash.h"
#include "core/progress.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

class CompressedTensorsExport : public FormatExport {
 public:
  explicit CompressedTensorsExport(const Checkpoint& in) : in_(in) {
    if (!in.indexed())
      Fail(in.directory().string(), "has shards that its index does not name; other programs would not find them");
    for (const auto& shard : in.shards()) files_.push_back(shard->path());
    for (const char* name : {"config.json", "model.safetensors.index.json", "recipe.yaml", "report.json"})
      if (fs::is_regular_file(in.directory() / name)) files_.push_back(in.directory() / name);
    std::sort(files_.begin(), files_.end());
  }

  std::vector<ExportedTensor> Tensors() const override {
    std::vector<ExportedTensor> tensors;
    for (const TensorSpec& spec : in_.table()) {
      uint64_t bytes = 0;
      for (const auto& part : StoredForm(spec, in_.config())) bytes += in_.Tensor(part.name).bytes.size();
      const std::string format = StoredFormatName(in_, spec);
      tensors.push_back({spec.name, format, format, bytes});
    }
    return tensors;
  }
  uint64_t FileBytes() const override {
    uint64_t bytes = 0;
    for (const fs::path& file : files_) bytes += fs::file_size(file);
    return bytes;
  }

  void Write(const fs::path& staged) const override {
    Progress progress("export", std::ssize(files_) + 1, "files");
    for (const fs::path& file : files_) {
      const fs::path copy = staged / file.filename();
      std::error_code error;
      fs::copy_file(file, copy, error);
      if (error) Fail(copy.string(), "cannot copy: {}", error.message());
      SyncPath(copy);
      progress.Advance(1, file.filename().string());
    }
    CopySideFiles(in_.directory(), staged, Weights::kSame);
    progress.Advance(1);
  }

  void Verify(const fs::path& staged) const override {
    Checkpoint::Open(staged);
    for (const fs::path& file : files_)
      if (Sha256HexOfFile(file) != Sha256HexOfFile(staged / file.filename()))
        Fail((staged / file.filename()).string(), "was written wrongly: it is not what {} holds", file.string());
  }

 private:
  const Checkpoint& in_;
  std::vector<fs::path> files_;
};

}  // namespace

std::unique_ptr<FormatExport> MakeCompressedTensorsExport(const Checkpoint& in) {
  return std::make_unique<CompressedTensorsExport>(in);
}

}  // namespace ecld
