#pragma once
#include <memory>
#include <openssl/ssl.h>
#include <string>

namespace terrane::http {

template <auto free_function>
struct Free {
  template <class T>
  void operator()(T* object) const noexcept {
    free_function(object);
  }
};

/// See tls.h. For tls.cc and tls_context.cc only.
class TlsContext {
 public:
  explicit TlsContext(bool for_server);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  SSL_CTX* get() const noexcept { return context_.get(); }
  bool for_server() const noexcept { return for_server_; }
  /// The name or address that a server's certificate must carry.
  std::string host;
  /// The newest session of a client, to be resumed; may be null.
  std::unique_ptr<SSL_SESSION, Free<SSL_SESSION_free>> session;
  /// Of a client that reads them when they are asked for.
  std::string certificate_pem, key_pem;

 private:
  bool for_server_;
  std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>> context_;
};

/// The newest entry of OpenSSL's error queue as text; empties the queue.
std::string tls_error_text();

}  // namespace terrane::http
