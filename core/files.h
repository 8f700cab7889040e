#pragma once
// Small file operations that never leave half a file behind: whole-file read and write, an exclusive lock on a
// directory, and a staged directory that becomes visible by one rename.

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace ecld {

// The bytes as they are. THROWS Error when the file cannot be read whole.
std::string ReadFile(const std::filesystem::path& path);

// The file as UTF-8 without a mark (core/text_encoding.h says what is read and what refused). THROWS Error.
std::string ReadTextFile(const std::filesystem::path& path);

// Writes to "<path>.tmp", syncs, renames over path; a device or a pipe is written as it is. THROWS Error (unwritable,
// disk full); a file is then unchanged.
void WriteFileAtomically(const std::filesystem::path& path, std::string_view content);

// THROWS Error when out equals, contains or lies inside in: a result may not overwrite its own source.
void RequireSeparate(const std::filesystem::path& in, const std::filesystem::path& out);

// The path beside this one whose name has the suffix: "out.lock" of "out" and of "out/", which itself has no name.
std::filesystem::path Sibling(const std::filesystem::path& path, std::string_view suffix);

// Holds "<path>.lock" with flock while alive; the kernel releases it when the process dies, SIGKILL included. The file
// says who made it, so that a file of that name which is somebody else's is neither changed nor removed.
class DirectoryLock {
 public:
  // THROWS Error: another process holds it ("is in use by another run (process N)"), or the file is no lock.
  explicit DirectoryLock(const std::filesystem::path& directory);
  ~DirectoryLock();
  DirectoryLock(const DirectoryLock&) = delete;
  DirectoryLock& operator=(const DirectoryLock&) = delete;

 private:
  // Opens the file and takes the lock.
  void Take(const std::filesystem::path& directory);

  std::filesystem::path path_;
  int fd_ = -1;
  bool made_ = false;  // by a run: it may be removed
};

// The final step of every result: staged is renamed to final. When final exists it is moved aside first, to
// "<final>.replaced", and removed only after the new one is in place. THROWS Error.
void PublishDirectory(const std::filesystem::path& staged, const std::filesystem::path& final_path);

// Flushes a file or directory to disk. THROWS Error.
void SyncPath(const std::filesystem::path& path);

// Bytes free for this user on the file system that will hold path (its nearest existing parent).
uint64_t FreeDiskBytes(const std::filesystem::path& path);

}  // namespace ecld
