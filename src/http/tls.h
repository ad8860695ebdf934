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

/// The side of a listener. Throws Error{invalid} that says which part of the options cannot be used.
std::shared_ptr<TlsContext> make_tls_server(const TlsServerOptions& options);

/// The side of a client that talks to `host` only: the peer's certificate must carry that name or address and
/// lead to `ca_pem` (empty: the system's CAs). Certificate and key may be empty. Throws Error{invalid} that
/// says which part cannot be used.
std::shared_ptr<TlsContext> make_tls_client(const std::string& host, const std::string& ca_pem,
                                            const std::string& certificate_pem, const std::string& key_pem);

/// A TLS connection that broke; `reason` says how, as far as the peer or OpenSSL told.
class TlsBroken : public boost::system::system_error {
 public:
  explicit TlsBroken(std::string text);
  const std::string reason;
};

/// TLS over a connected socket, which it owns; `handshake` comes first.
std::unique_ptr<Stream> make_tls_stream(net::Executor executor, int fd, std::shared_ptr<TlsContext> context);

}  // namespace terrane::http
