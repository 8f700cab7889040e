#pragma once
// What the headers of HTTP/1.1 mean to a server, apart from any connection (RFC 9110, RFC 9112; CORS: the fetch
// standard of WHATWG).

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ecld {

using HttpHeaders = std::vector<std::pair<std::string, std::string>>;

// The path of a request target: without query, scheme and authority (proxies send those), %XX decoded, and without a
// slash at the end or two at the start.
std::string PathOfTarget(std::string_view target);

// What an answer says to the page of this origin ("" for a client that is no browser) when these are allowed; "*" is
// every origin. Nothing when none is allowed.
HttpHeaders CorsHeaders(const std::vector<std::string>& allowed, std::string_view origin);

// What the answer to a preflight request says in addition. wanted: its Access-Control-Request-Headers.
HttpHeaders PreflightHeaders(std::string_view wanted);

// Whether this can be an element of allowed above: "*", or a scheme and a host like http://localhost:3000.
bool IsOrigin(std::string_view text);

}  // namespace ecld
