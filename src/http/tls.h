#pragma once
#include <memory>
#include <string>

#include <boost/system/system_error.hpp>

#include "http/stream.h"

namespace terrane::http {

/// Keys, certificates and rules of one side of TLS 1.2 and 1.3, shared by its connections; sessions are
/// resumed.
class TlsContext;

struct TlsServerOptions;
struct Endpoint;

/// The side of a listener. Throws Error{invalid} that says which part of the options cannot be used.
std::shared_ptr<TlsContext> make_tls_server(const TlsServerOptions& options);

/// The side of a client that talks to the endpoint's host only: the peer's certificate must carry that name
/// or address and lead to its CA (empty: the system's CAs). With a session to resume, our own certificate is
/// read only when the server does not resume it. Throws Error{invalid} that says which part cannot be used.
std::shared_ptr<TlsContext> make_tls_client(const Endpoint& endpoint);

/// The newest session of a client as bytes for Endpoint::tls_session; empty when there is none.
std::string newest_session(const TlsContext& context);

/// A TLS connection that broke; `reason` says how, as far as the peer or OpenSSL told.
class TlsBroken : public boost::system::system_error {
 public:
  explicit TlsBroken(std::string text);
  const std::string reason;
};

/// TLS over a connected socket, which it owns; `handshake` comes first.
std::unique_ptr<Stream> make_tls_stream(net::Executor executor, int fd, std::shared_ptr<TlsContext> context);

}  // namespace terrane::http
