#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "core/log.h"
#include "core/mapped_file.h"
#include "measure/load.h"
#include "profiler/profile_tables.h"
#include "runtime/tile_cache.h"

namespace ecld {
namespace {

// What a load reads: the weights, and the copy laid out for the processor where there is one.
std::vector<std::filesystem::path> LoadedFiles(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  if (std::filesystem::exists(TileCache::FileOf(directory))) files.push_back(TileCache::FileOf(directory));
  for (const auto& entry : std::filesystem::directory_iterator(directory))
    if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
  return files;
}

// Asks the kernel to forget the file; it may not (another process has it mapped, or it lives in memory).
void DropFromPageCache(const std::filesystem::path& path) {
  int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  fdatasync(fd);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  close(fd);
}

// Share of the file's pages that are in the page cache.
double CachedShare(const std::filesystem::path& path) {
  MappedFile file(path);
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> in_core((file.bytes().size() + page - 1) / page);
  if (in_core.empty()) return 0;
  if (mincore(const_cast<std::byte*>(file.bytes().data()), file.bytes().size(), in_core.data()) != 0) return 1;
  size_t cached = 0;
  for (unsigned char state : in_core) cached += state & 1u;
  return static_cast<double>(cached) / static_cast<double>(in_core.size());
}

void AddRow(Table& load, const char* from_state, const Timing& timing, int64_t bytes_B) {
  load.AddRow();
  load.Set("from_state", std::string(from_state));
  load.Set("load_ms", timing.median_ms);
  load.Set("bytes_B", bytes_B);
  load.Set("src", std::string("m"));
  load.Set("n", timing.n);
}

}  // namespace

ProfileTable MeasureLoads(const std::filesystem::path& directory, const RuntimeOptions& options, ThreadPool& pool) {
  constexpr double kDropped = 0.01;
  ProfileTable load{TableStatus::kPartial, Table(FindTableSchema("load", "profile"))};  // "cold" is never there
  LoadAndPredictOnce(directory, options, pool);  // lays weights out where that is still to be done: no part of a load
  std::vector<std::filesystem::path> files = LoadedFiles(directory);
  int64_t bytes_B = 0;
  for (const auto& file : files) bytes_B += static_cast<int64_t>(std::filesystem::file_size(file));

  bool dropped = true;
  Timing disk = Measure([&] { LoadAndPredictOnce(directory, options, pool); },
                        {.warmup = 0, .min_reps = kProfileReps, .max_reps = 5, .budget_ms = 2000},
                        [&] {
                          for (const auto& file : files) {
                            DropFromPageCache(file);
                            dropped &= CachedShare(file) < kDropped;
                          }
                        });
  if (dropped) {
    AddRow(load.table, "disk", disk, bytes_B);
  } else {
    LogInfo("profile: the kernel keeps {} in memory, so loading from disk was not measured", directory.string());
  }
  AddRow(load.table, "ram", MeasureWarmLoad(directory, options, pool), bytes_B);
  return load;
}

}  // namespace ecld
