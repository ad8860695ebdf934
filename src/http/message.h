#pragma once
#include <any>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/task.h"

namespace terrane::http {

enum class Method { get, head, post, put, patch, del, options };
std::string_view name(Method method);

/// Header fields in order; names compare without case.
class Headers {
 public:
  void add(std::string_view name, std::string_view value);
  /// Replaces all fields of that name.
  void set(std::string_view name, std::string_view value);
  /// The first field's value; nothing when there is none.
  std::optional<std::string_view> find(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const noexcept { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// Bytes that are pulled: a request's body as it arrives, or an answer's as it is made.
class ByteSource {
 public:
  virtual ~ByteSource() = default;
  /// Suspends until some bytes are there; returns how many were written into `into`, 0 at the end. Throws
  /// when the peer broke off (Error{invalid}) or sent nothing for the idle limit.
  virtual Task<std::size_t> read(std::span<char> into) = 0;
};

/// The decoded query of a target, in order, with repeated names kept.
class Query {
 public:
  Query() = default;
  /// Decodes `a=1&b%5Bc%5D=2`; a broken escape throws Error{invalid}.
  explicit Query(std::string_view encoded);
  std::optional<std::string_view> find(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& all() const noexcept { return items_; }

 private:
  std::vector<std::pair<std::string, std::string>> items_;
};

/// A request as a handler sees it. It lives until the handler's answer has been sent.
struct Request {
  Method method = Method::get;
  std::string target;  ///< as sent: path and query
  std::string path;    ///< percent-decoded once by the router for parameters; here as sent, without the query
  Query query;
  Headers headers;
  std::optional<std::uint64_t> content_length;
  ByteSource* body = nullptr;  ///< never null
  std::string peer;            ///< the peer's IP address, or "unix"
  std::string client_name;     ///< the common name of the peer's verified certificate, empty without one
  std::string id;              ///< request id, made by the server
  std::vector<std::pair<std::string, std::string>>
      parameters;      ///< `:name` parts of the route's pattern, decoded
  std::any principal;  ///< whatever the API layer's authentication put there

  /// The route parameter `name`; asking for one that the pattern lacks is a defect and throws
  /// Error{internal}.
  const std::string& parameter(std::string_view name) const;
};

/// Reads the whole body. Throws Error{too_large} naming the limit when it has more than `limit` bytes.
Task<std::string> read_body(Request& request, std::size_t limit);

struct Response {
  int status = 200;
  Headers headers;
  std::string body;                            ///< sent when `stream` is null
  std::shared_ptr<ByteSource> stream;          ///< sent piece by piece
  std::optional<std::uint64_t> stream_length;  ///< Content-Length of the stream; chunked without it
  std::function<void()> after_sent;  ///< called once, when the last byte has been written to the socket
};

/// What answers a request. It may throw Error: the server's error handler makes the answer of it.
using Handler = std::function<Task<Response>(Request&)>;

}  // namespace terrane::http
