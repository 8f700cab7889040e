#include "checkpoint/foreign/translation.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "checkpoint/cache_file.h"
#include "core/error.h"
#include "core/hash.h"
#include "core/log.h"
#include "core/progress.h"
#include "kernels/packing/packing.h"

namespace ecld {
namespace {

namespace fs = std::filesystem;

constexpr uint32_t kVersion = 1;  // of cache_file.h and of what a matrix becomes together
constexpr uint64_t kAlignment = 64;
constexpr int64_t kStripBytes = 8 << 20;  // of rows that are held at once

// The types a packed matrix's scales may have.
DType ScaleType(DType dtype) { return dtype == DType::kF16 || dtype == DType::kBF16 ? dtype : DType::kF32; }

// values = values * H / sqrt(n) for Sylvester's Hadamard matrix H of n = values.size(), a power of two.
void ApplyHadamard(std::span<float> values) {
  for (size_t half = 1; half < values.size(); half *= 2)
    for (size_t begin = 0; begin < values.size(); begin += 2 * half)
      for (size_t i = begin; i < begin + half; ++i) {
        const float a = values[i], b = values[i + half];
        values[i] = a + b;
        values[i + half] = a - b;
      }
  const float scale = 1 / std::sqrt(static_cast<float>(values.size()));
  for (float& value : values) value *= scale;
}

// THROWS Error unless a stored matrix is the one that ApplyHadamard applies, but for its length.
void RequireSylvester(const TensorView& view, int64_t size, const std::string& where) {
  if (view.shape != std::vector<int64_t>{size, size} || !IsFloat(view.dtype))
    Fail(where, "is {} {}, expected floats {}", Name(view.dtype), ShapeText(view.shape), ShapeText({size, size}));
  std::vector<float> row(static_cast<size_t>(size));
  for (int64_t i = 0; i < size; ++i) {
    ToFloat(view.dtype, view.bytes.data() + static_cast<size_t>(i * size) * SizeOf(view.dtype), row.size(), row.data());
    for (int64_t j = 0; j < size; ++j) {
      const bool negative = __builtin_parityll(static_cast<unsigned long long>(i & j));
      if (row[static_cast<size_t>(j)] != (negative ? -1.0f : 1.0f))
        Fail(where, "is not Sylvester's Hadamard matrix: it holds {} at [{}, {}]", row[static_cast<size_t>(j)], i, j);
    }
  }
}

}  // namespace

fs::path Translation::FileOf(const fs::path& directory, Unpacking unpacking) {
  return directory / (unpacking == Unpacking::kDense ? "ecld-dense.bin" : "ecld-packed.bin");
}

void Translation::LayOut(const ModelConfig& config) {
  uint64_t offset = kCacheHeaderBytes;
  Sha256 hash;
  hash.Update(fmt::format("translation {}\n{}\n", kVersion, identity_));
  for (Entry& entry : entries_) {
    hash.Update(fmt::format("hadamard {}\n", entry.hadamard));
    for (const auto& source : entry.sources) source_B_ += source.size();
    for (StoredTensor& stored : StoredForm(entry.spec, config)) {
      if (entry.spec.format && IsFloat(stored.dtype)) stored.dtype = ScaleType(entry.matrix->scale_dtype());
      hash.Update(fmt::format("{} {} {}\n", stored.name, Name(stored.dtype), ShapeText(stored.shape)));
      views_.emplace(stored.name, TensorView{stored.dtype, stored.shape, {}});
      offsets_.emplace(stored.name, offset);
      const uint64_t bytes = stored.Bytes();
      entry.parts.push_back({std::move(stored), offset});
      offset += (bytes + kAlignment - 1) / kAlignment * kAlignment;
    }
  }
  if (!entries_.empty()) file_B_ = offset;
  key_ = hash.HexDigest();
}

StoredTensor Translation::Stored(std::string_view name) const {
  const auto found = views_.find(name);
  return {found->first, found->second.dtype, found->second.shape};
}

const TensorView& Translation::Tensor(std::string_view name) const {
  std::call_once(once_, [&] { Make(); });
  return views_.find(name)->second;
}

uint64_t Translation::Bytes() const {
  uint64_t bytes = 0;
  for (const Entry& entry : entries_)
    for (const Part& part : entry.parts) bytes += part.stored.Bytes();
  return bytes;
}

uint64_t Translation::FileBytes() const { return file_B_; }

bool Translation::FileIsThere() const {
  std::error_code error;
  return fs::file_size(path_, error) == file_B_ && !error;
}

void Translation::Make() const {
  ThreadPool pool;
  const CacheIdentity identity{"ECLDFORM", kVersion, key_, file_B_};
  const auto write = [&](int fd) { return WriteAll(fd, pool); };
  file_ = OpenCacheFile(path_, identity, pool);
  if (!file_) {
    LogInfo("{}: {} matrices as {} stores them ({}) become ECLD's own formats, once: {} in {}", directory_.string(),
            entries_.size(), method_, FormatBytes(source_B_), FormatBytes(file_B_), path_.string());
    if (const auto reason = MakeCacheFile(path_, identity, pool, write, &file_)) {
      LogWarning("{}: cannot be written ({}); {} go to a temporary file instead, at every start", path_.string(),
                 *reason, FormatBytes(file_B_));
      if (const auto second = MakeUnnamedFile(identity, write, &file_))
        Fail(path_.string(), "cannot be written ({}), nor can a temporary file ({}); {} are needed", *reason, *second,
             FormatBytes(file_B_));
    }
  }
  for (auto& [name, view] : views_) {
    const StoredTensor stored{name, view.dtype, view.shape};
    view.bytes = file_->bytes().subspan(offsets_.find(name)->second, stored.Bytes());
  }
  MappedFile::DropPages(file_->bytes());
}

std::optional<std::string> Translation::WriteAll(int fd, ThreadPool& pool) const {
  Progress progress("unpacking weights", std::ssize(entries_), "matrices");
  for (const Entry& entry : entries_) {
    entry.matrix->Load();
    if (entry.hadamard_view)
      RequireSylvester(*entry.hadamard_view, entry.hadamard,
                       fmt::format("{}: tensor \"{}\"", directory_.string(), entry.hadamard_name));
    if (auto failed = entry.spec.format ? WritePacked(entry, fd, pool) : WriteDense(entry, fd, pool)) return failed;
    entry.matrix->Unload();
    for (const auto& source : entry.sources) MappedFile::DropPages(source);
    progress.Advance();
  }
  return std::nullopt;
}

std::optional<std::string> Translation::WriteDense(const Entry& entry, int fd, ThreadPool& pool) const {
  const Part& part = entry.parts[0];
  const ForeignMatrix& matrix = *entry.matrix;
  const int64_t in = matrix.in_features(), row_B = in * static_cast<int64_t>(SizeOf(part.stored.dtype));
  const float limit = part.stored.dtype == DType::kF16 ? 65504.0f : std::numeric_limits<float>::max();
  const int64_t strip = std::clamp<int64_t>(kStripBytes / row_B, 1, matrix.out_features());
  std::vector<std::byte> bytes(static_cast<size_t>(strip * row_B));
  for (int64_t first = 0; first < matrix.out_features(); first += strip) {
    const int64_t rows = std::min(strip, matrix.out_features() - first);
    pool.ParallelFor(rows, 1, [&](int64_t begin, int64_t end) {
      std::vector<float> values(static_cast<size_t>(in));
      for (int64_t row = begin; row < end; ++row) {
        matrix.ReadRow(first + row, values.data());
        for (int64_t i = 0; entry.hadamard > 0 && i < in; i += entry.hadamard)
          ApplyHadamard(std::span(values).subspan(static_cast<size_t>(i), static_cast<size_t>(entry.hadamard)));
        for (size_t i = 0; i < values.size(); ++i)
          if (!(std::abs(values[i]) <= limit))
            Fail(directory_.string(), "{} is {} at [{}, {}], which {} cannot hold", entry.spec.name, values[i],
                 first + row, i, Name(part.stored.dtype));
        FromFloat(part.stored.dtype, values.data(), values.size(), &bytes[static_cast<size_t>(row * row_B)]);
      }
    });
    if (auto failed = WriteAt(fd, bytes.data(), static_cast<uint64_t>(rows * row_B),
                              part.offset + static_cast<uint64_t>(first * row_B)))
      return failed;
  }
  return std::nullopt;
}

std::optional<std::string> Translation::WritePacked(const Entry& entry, int fd, ThreadPool& pool) const {
  const ForeignMatrix& matrix = *entry.matrix;
  const PackedFormat& format = *entry.spec.format;
  const int64_t out = matrix.out_features(), in = matrix.in_features();
  const int64_t words = format.CodeWords(in), groups = format.Groups(in);
  const auto scale_B = SizeOf(entry.parts[1].stored.dtype);
  std::vector<uint32_t> codes(static_cast<size_t>(out * words));
  std::vector<std::byte> scales(static_cast<size_t>(out * groups) * scale_B);
  pool.ParallelFor(out, 1, [&](int64_t begin, int64_t end) {
    std::vector<uint8_t> row_codes(static_cast<size_t>(in));
    std::vector<float> row_scales(static_cast<size_t>(groups));
    for (int64_t row = begin; row < end; ++row) {
      matrix.ReadCodes(row, row_codes.data());
      PackBits(format.bits, row_codes.data(), in, &codes[static_cast<size_t>(row * words)]);
      for (int64_t group = 0; group < groups; ++group)
        row_scales[static_cast<size_t>(group)] = matrix.scales().At(row, group);
      FromFloat(entry.parts[1].stored.dtype, row_scales.data(), row_scales.size(),
                &scales[static_cast<size_t>(row * groups) * scale_B]);
    }
  });
  auto write = [&](const Part& part, const void* data) { return WriteAt(fd, data, part.stored.Bytes(), part.offset); };
  if (auto failed = write(entry.parts[0], codes.data())) return failed;
  if (auto failed = write(entry.parts[1], scales.data())) return failed;
  if (!format.symmetric) {
    std::vector<uint32_t> zeros(static_cast<size_t>(format.ZeroWords(out) * groups));
    for (int64_t group = 0; group < groups; ++group)
      PackBits(format.bits, &matrix.zeros()[static_cast<size_t>(group * out)], out, &zeros[static_cast<size_t>(group)],
               groups);
    if (auto failed = write(entry.parts[2], zeros.data())) return failed;
  }
  return write(entry.parts.back(), entry.spec.shape.data());
}

std::vector<std::string> Translation::Notes() const {
  std::map<std::string, int64_t> counts;
  for (const Entry& entry : entries_)
    ++counts[entry.spec.format ? entry.spec.format->Name() + " without loss"
                               : fmt::format("dense {}", Name(entry.parts[0].stored.dtype))];
  std::string forms;
  for (const auto& [form, count] : counts) forms += fmt::format("{}{} {}", forms.empty() ? "" : ", ", count, form);
  std::vector<std::string> notes;
  if (!entries_.empty())
    notes.push_back(fmt::format("quantized already ({}): {} of matrices become {}; {} on disk{}", method_,
                                FormatBytes(source_B_), forms, FormatBytes(file_B_),
                                FileIsThere() ? ", there already" : ", written at first use"));
  return notes;
}

Json Translation::ToJson() const {
  std::vector<std::string> notes = Notes();
  notes.insert(notes.end(), readings_.begin(), readings_.end());
  return {
      {"method", method_}, {"matrices", entries_.size()}, {"stored_B", source_B_}, {"file", path_.filename().string()},
      {"file_B", file_B_}, {"not_applied", unapplied_},   {"notes", notes}};
}

}  // namespace ecld
