#pragma once
#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "base/task.h"
#include "http/message.h"
#include "net/io.h"

namespace terrane::http {

/// Where a client connects to.
struct Endpoint {
  std::string host;  ///< name or address; Host header and, with TLS, the name that the certificate must carry
  std::uint16_t port = 0;
  std::filesystem::path unix_path;  ///< when set: connect there instead
  bool tls = false;
  std::string ca_pem;           ///< with TLS: trust only this; empty: the system's CAs
  std::string certificate_pem;  ///< with TLS: our own certificate and key, if the server asks for one
  std::string key_pem;
  std::string tls_session;  ///< with TLS: what `Client::tls_session` of another client gave, or empty
};

struct ClientOptions {
  std::chrono::milliseconds connect_time{5'000};
  std::chrono::milliseconds header_time{
      30'000};  ///< from the request's last byte to the end of the answer's header
  std::chrono::milliseconds body_idle{30'000};  ///< longest pause inside a body
  std::size_t connections = 8;                  ///< kept at most; a further request waits for one
};

struct ClientRequest {
  Method method = Method::get;
  std::string target = "/";
  Headers headers;
  std::string body;              ///< sent when `stream` is null
  ByteSource* stream = nullptr;  ///< sent piece by piece; must live until the answer's header is there
  std::optional<std::uint64_t> stream_length;            ///< Content-Length of the stream; chunked without it
  std::optional<std::chrono::milliseconds> header_time;  ///< instead of the client's
};

/// An answer whose body may still be arriving. Destroying it with an unread body closes its connection; after
/// the end it goes back to be used again.
class ClientResponse {
 public:
  int status = 0;
  Headers headers;
  std::optional<std::uint64_t> content_length;
  std::shared_ptr<ByteSource> body;

  /// Reads the rest of the body. Throws Error{too_large} above `limit` bytes.
  Task<std::string> text(std::size_t limit = 16 * 1024 * 1024);
};

/// A pool of HTTP/1.1 connections to one endpoint. Every failure to reach the peer, and every time limit,
/// throws Error{unavailable} that names the endpoint. A request without a stream body is sent again once, on
/// a fresh connection, when a kept connection turned out to be closed before any byte of the answer. One
/// executor, not thread-safe.
class Client {
 public:
  Client(net::Executor executor, Endpoint endpoint, ClientOptions options = {});
  ~Client();
  Task<ClientResponse> send(ClientRequest request);
  const Endpoint& endpoint() const;
  /// The newest TLS session, as bytes that another client of the same endpoint may resume from instead of a
  /// whole handshake; empty without one. They prove what our certificate proved: keep them as its key is
  /// kept.
  std::string tls_session() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::http
