#pragma once
// SHA-256 (FIPS 180-4), for the identity of files and texts in reports, journals and profiles.

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace ecld {

class Sha256 {
 public:
  Sha256();
  void Update(std::span<const std::byte> bytes);
  void Update(std::string_view text) { Update(std::as_bytes(std::span(text))); }
  // Lower-case hex. The object may not be updated afterwards.
  std::string HexDigest();

 private:
  void Blocks(const uint8_t* blocks, size_t count);
  void Block(const uint8_t* block);

  std::array<uint32_t, 8> state_;
  std::array<uint8_t, 64> buffer_;
  uint64_t length_ = 0;
};

std::string Sha256Hex(std::string_view text);
std::string Sha256HexOfFile(const std::filesystem::path& path);  // THROWS Error when unreadable

}  // namespace ecld
