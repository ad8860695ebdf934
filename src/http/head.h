#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"

namespace terrane::http {

/// How the body of a message is framed.
enum class Framing { none, length, chunked, to_end };

/// What both kinds of header say.
struct Head {
  Headers headers;
  Framing framing = Framing::none;
  std::optional<std::uint64_t>
      length;  ///< Content-Length; with an answer that has no body it may still be set
  bool keep_alive = false;
  bool old = false;  ///< HTTP/1.0
};

struct RequestHead : Head {
  Method method = Method::get;
  std::string target;  ///< begins with '/', or is "*"
  bool expects_continue = false;
};

struct ResponseHead : Head {
  int status = 0;
};

/// Why a header is refused, as the status of the answer.
struct Refusal {
  int status = 400;
  std::string reason;
};

/// Reads a request's header: all bytes up to and with the empty line. Returns why it is refused, if it is;
/// shapes that two servers could read differently (RFC 9112 section 6) are.
std::optional<Refusal> parse_request(std::string_view bytes, RequestHead& into);

/// Reads an answer's header in the same way. `to_head` tells that the request was HEAD, so no body follows.
/// False: not HTTP.
bool parse_response(std::string_view bytes, bool to_head, ResponseHead& into);

/// The size of the header at the front of `bytes`, with its empty line; 0 while that has not come. `searched`
/// bytes were seen before.
std::size_t head_size(std::string_view bytes, std::size_t searched);

/// The standard reason phrase of a status.
std::string_view reason_phrase(int status);

}  // namespace terrane::http
