// A checkpoint copied as it is: its format is compressed-tensors already. Every file that belongs to it is copied and
// compared byte by byte. One that another program quantized is written anew, as it is read.

#include <algorithm>
#include <fstream>

#include "checkpoint/export/format_export.h"
#include "checkpoint/shard_writer.h"
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
  explicit CompressedTensorsExport(const Checkpoint& in) : in_(in) {}

  std::vector<ExportedTensor> Tensors() const override {
    std::vector<ExportedTensor> tensors;
    for (const TensorSpec& spec : in_.table()) {
      uint64_t bytes = 0;
      for (const auto& part : StoredForm(spec, in_.config())) bytes += in_.Stored(part.name).Bytes();
      const std::string format = StoredFormatName(in_, spec);
      tensors.push_back({spec.name, format, format, bytes});
    }
    return tensors;
  }

 protected:
  const Checkpoint& in_;
};

class CopyExport : public CompressedTensorsExport {
 public:
  explicit CopyExport(const Checkpoint& in) : CompressedTensorsExport(in) {
    if (!in.indexed())
      Fail(in.directory().string(), "has shards that its index does not name; other programs would not find them");
    for (const auto& shard : in.shards()) files_.push_back(shard->path());
    for (const char* name : {"config.json", "model.safetensors.index.json", "recipe.yaml", "report.json"})
      if (fs::is_regular_file(in.directory() / name)) files_.push_back(in.directory() / name);
    std::sort(files_.begin(), files_.end());
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
  std::vector<fs::path> files_;
};

class TranslatedExport : public CompressedTensorsExport {
 public:
  explicit TranslatedExport(const Checkpoint& in) : CompressedTensorsExport(in) {
    for (const StoredTensor& part : StoredTensors(in.config())) stored_.push_back(in.Stored(part.name));
  }

  uint64_t FileBytes() const override { return ShardWriter("", stored_).FileBytes(); }

  void Write(const fs::path& staged) const override {
    ShardWriter shards(staged, stored_);
    shards.Open();
    shards.Allocate();
    Progress progress("export", std::ssize(stored_), "tensors");
    for (const StoredTensor& tensor : stored_) {
      shards.WritePiece(tensor.name, 0, in_.Tensor(tensor.name).bytes);
      progress.Advance(1, tensor.name);
    }
    shards.Sync();
    shards.WriteIndex();
    WriteJsonFile(staged / "config.json", ToJson(in_.config()));
    CopySideFiles(in_.directory(), staged, Weights::kSame);
  }

  void Verify(const fs::path& staged) const override {
    const Checkpoint written = Checkpoint::Open(staged);
    for (const StoredTensor& tensor : stored_) {
      const auto expected = in_.Tensor(tensor.name).bytes, found = written.Tensor(tensor.name).bytes;
      if (!std::equal(expected.begin(), expected.end(), found.begin(), found.end()))
        Fail(staged.string(), "was written wrongly: {} is not what {} holds", tensor.name, in_.directory().string());
    }
  }

 private:
  std::vector<StoredTensor> stored_;
};

}  // namespace

std::unique_ptr<FormatExport> MakeCompressedTensorsExport(const Checkpoint& in) {
  if (in.translation()) return std::make_unique<TranslatedExport>(in);
  return std::make_unique<CopyExport>(in);
}

}  // namespace ecld
