#include "serve/http_headers.h"

#include <algorithm>
#include <charconv>

namespace ecld {
namespace {

std::string Unescaped(std::string_view text) {
  std::string result;
  for (size_t i = 0; i < text.size(); ++i) {
    int byte = 0;
    const char* digits = text.data() + i + 1;
    if (text[i] == '%' && i + 2 < text.size() && std::from_chars(digits, digits + 2, byte, 16).ptr == digits + 2) {
      result += static_cast<char>(byte);
      i += 2;
    } else {
      result += text[i];
    }
  }
  return result;
}

}  // namespace

std::string PathOfTarget(std::string_view target) {
  target = target.substr(0, target.find_first_of("?#"));
  if (!target.starts_with('/'))
    if (const size_t scheme = target.find("://"); scheme != std::string_view::npos) {
      const size_t path = target.find('/', scheme + 3);
      target = path == std::string_view::npos ? "/" : target.substr(path);
    }
  while (target.size() > 1 && target.ends_with('/')) target.remove_suffix(1);
  while (target.starts_with("//")) target.remove_prefix(1);  // a base address that ends in one, and a path
  return Unescaped(target);
}

HttpHeaders CorsHeaders(const std::vector<std::string>& allowed, std::string_view origin) {
  if (std::ranges::find(allowed, "*") != allowed.end()) return {{"Access-Control-Allow-Origin", "*"}};
  if (allowed.empty()) return {};
  HttpHeaders headers = {{"Vary", "Origin"}};  // so that no cache gives this answer to another page
  if (std::ranges::find(allowed, origin) != allowed.end())
    headers.emplace_back("Access-Control-Allow-Origin", std::string(origin));
  return headers;
}

HttpHeaders PreflightHeaders(std::string_view wanted) {
  HttpHeaders headers = {{"Access-Control-Allow-Methods", "GET, HEAD, POST, OPTIONS"},
                         {"Access-Control-Max-Age", "86400"}};
  // What is asked for by name, since "*" does not stand for Authorization.
  if (!wanted.empty()) headers.emplace_back("Access-Control-Allow-Headers", std::string(wanted));
  return headers;
}

bool IsOrigin(std::string_view text) {
  if (text == "*") return true;
  const size_t scheme = text.find("://");
  if (scheme == 0 || scheme == std::string_view::npos || scheme + 3 == text.size()) return false;
  return text.find_first_of("/ \t\r\n,", scheme + 3) == std::string_view::npos;
}

}  // namespace ecld
