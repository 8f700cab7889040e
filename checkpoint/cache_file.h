#pragma once
// A file made from a checkpoint and kept beside it, mapped from then on. Nobody needs it but its one reader: it may be
// deleted at any time, and copies of a checkpoint go without it.
//
//   header, 4096 bytes: magic, version, size, key, checksum, zeros
//   the content, a multiple of 64 bytes
//
// Key and checksum are looked at whenever the file is opened, so one that is stale, cut short, damaged or of another
// checkpoint is made again, never used. Written to "<file>.tmp" under a lock and renamed: several processes may open a
// checkpoint at once.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/mapped_file.h"
#include "core/threads.h"

namespace ecld {

inline constexpr uint64_t kCacheHeaderBytes = 4096;

struct CacheIdentity {
  std::string_view magic;  // eight characters
  uint32_t version = 1;    // of the content's layout
  std::string key;         // 64 hex digits: of all that the content depends on
  uint64_t bytes = 0;      // of the whole file; a multiple of 64
};

// Fills the opened file from kCacheHeaderBytes on; returns why it could not be written, or nothing.
using CacheContent = std::function<std::optional<std::string>(int fd)>;

// The file, where it is there and what identity says to the last bit.
std::optional<MappedFile> OpenCacheFile(const std::filesystem::path& path, const CacheIdentity& identity,
                                        ThreadPool& pool);

// Makes it and maps it into *file; waits for another process that is making it. Returns why it could not be written,
// or nothing. THROWS whatever content throws, and leaves no file then.
std::optional<std::string> MakeCacheFile(const std::filesystem::path& path, const CacheIdentity& identity,
                                         ThreadPool& pool, const CacheContent& content,
                                         std::optional<MappedFile>* file);

// The same content in a file of no name in the system's folder for temporary files, which is gone with the process.
std::optional<std::string> MakeUnnamedFile(const CacheIdentity& identity, const CacheContent& content,
                                           std::optional<MappedFile>* file);

// All bytes at offset; returns why they could not be written, or nothing.
std::optional<std::string> WriteAt(int fd, const void* data, uint64_t size, uint64_t offset);

}  // namespace ecld
