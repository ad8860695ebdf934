#include "http/tls_context.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/error.h"
#include "base/log.h"
#include "http/client.h"
#include "http/server.h"
#include "http/tls.h"

namespace terrane::http {
namespace {

using Bio = std::unique_ptr<BIO, Free<BIO_free_all>>;
using Certificate = std::unique_ptr<X509, Free<X509_free>>;
using Key = std::unique_ptr<EVP_PKEY, Free<EVP_PKEY_free>>;

constexpr unsigned char protocols[] = "\x08http/1.1";

[[noreturn]] void refuse(const std::string& what) {
  std::string reason = tls_error_text();
  throw Error(Code::invalid, what + (reason.empty() ? "." : ": " + reason + "."));
}

Bio reader(const std::string& pem) {
  Bio bio(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
  if (!bio) refuse("No memory");
  return bio;
}

std::vector<Certificate> read_certificates(const std::string& pem, const std::string& what) {
  std::vector<Certificate> found;
  Bio bio = reader(pem);
  while (Certificate next{PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr)})
    found.push_back(std::move(next));
  if (found.empty()) refuse(what + " is not a certificate in PEM");
  ERR_clear_error();  // the end of the text counts as an error there
  return found;
}

struct Identity {
  std::vector<Certificate> chain;  // our own first
  Key key;
};

Identity read_identity(const std::string& certificate_pem, const std::string& key_pem) {
  Identity identity{read_certificates(certificate_pem, "The TLS certificate"), nullptr};
  Bio bio = reader(key_pem);
  identity.key.reset(
      PEM_read_bio_PrivateKey(bio.get(), nullptr, [](char*, int, int, void*) { return 0; }, nullptr));
  if (!identity.key) refuse("The TLS key is not a private key in PEM without a password");
  if (X509_check_private_key(identity.chain.front().get(), identity.key.get()) != 1)
    refuse("The TLS key does not belong to the certificate");
  return identity;
}

/// `use` is SSL_CTX_use_cert_and_key or its twin for one connection.
template <class Target>
void use_identity(Target* target, const Identity& identity,
                  int (*use)(Target*, X509*, EVP_PKEY*, STACK_OF(X509) *, int)) {
  std::unique_ptr<STACK_OF(X509), void (*)(STACK_OF(X509)*)> rest(
      sk_X509_new_null(), [](STACK_OF(X509) * stack) { sk_X509_free(stack); });
  for (std::size_t i = 1; i < identity.chain.size(); ++i) sk_X509_push(rest.get(), identity.chain[i].get());
  if (use(target, identity.chain.front().get(), identity.key.get(), rest.get(), 1) != 1)
    refuse("The TLS certificate cannot be used with its chain and key");
}

int provide_identity(SSL* connection, void* of) {
  auto* context = static_cast<TlsContext*>(of);
  try {
    use_identity(connection, read_identity(context->certificate_pem, context->key_pem), SSL_use_cert_and_key);
    return 1;
  } catch (const Error& failure) {
    log::error("a TLS client has no usable certificate", {{"error", failure.what()}});
    return 0;
  }
}

void resume(TlsContext& context, const std::string& session) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(session.data());
  context.session.reset(d2i_SSL_SESSION(nullptr, &bytes, static_cast<long>(session.size())));
  ERR_clear_error();  // without it there is a whole handshake
}

void trust(SSL_CTX* context, const std::string& ca_pem) {
  for (const Certificate& ca : read_certificates(ca_pem, "The TLS CA")) {
    if (X509_STORE_add_cert(SSL_CTX_get_cert_store(context), ca.get()) != 1)
      refuse("The TLS CA cannot be used");
    if (SSL_CTX_add_client_CA(context, ca.get()) != 1) refuse("The TLS CA cannot be used");
  }
}

int select_protocol(SSL*, const unsigned char** out, unsigned char* length, const unsigned char* offered,
                    unsigned offered_size, void*) {
  unsigned char* chosen = nullptr;
  int result = SSL_select_next_proto(&chosen, length, protocols, sizeof protocols - 1, offered, offered_size);
  *out = chosen;
  // A client that offers only what we do not speak (h2) is told so.
  return result == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

int keep_session(SSL* connection, SSL_SESSION* session) {
  auto* context = static_cast<TlsContext*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)));
  context->session.reset(session);
  return 1;  // ours now
}

}  // namespace

std::string tls_error_text() {
  unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  if (code == 0) return {};
  if (ERR_SYSTEM_ERROR(code)) return "system error " + std::to_string(ERR_GET_REASON(code));
  const char* reason = ERR_reason_error_string(code);
  return reason ? reason : "TLS error " + std::to_string(ERR_GET_REASON(code));
}

TlsContext::TlsContext(bool for_server)
    : for_server_(for_server), context_(SSL_CTX_new(for_server ? TLS_server_method() : TLS_client_method())) {
  if (!context_) refuse("TLS is not available");
  SSL_CTX_set_min_proto_version(get(), TLS1_2_VERSION);
  SSL_CTX_set_options(get(),
                      SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
  // Forward secrecy and authenticated encryption only, also in 1.2.
  if (SSL_CTX_set_cipher_list(get(), "ECDHE+AESGCM:ECDHE+CHACHA20:!aNULL") != 1)
    refuse("The TLS ciphers are not available");
  SSL_CTX_set_app_data(get(), this);
}

TlsContext::~TlsContext() = default;

std::shared_ptr<TlsContext> make_tls_server(const TlsServerOptions& options) {
  auto context = std::make_shared<TlsContext>(true);
  use_identity(context->get(), read_identity(options.certificate_pem, options.key_pem),
               SSL_CTX_use_cert_and_key);
  SSL_CTX_set_alpn_select_cb(context->get(), select_protocol, nullptr);
  // Sessions live in tickets at the clients; one a handshake is enough for a client that keeps its
  // connections.
  constexpr unsigned char id[] = "terrane";
  SSL_CTX_set_session_id_context(context->get(), id, sizeof id - 1);
  SSL_CTX_set_session_cache_mode(context->get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context->get(), 1);
  if (!options.client_ca_pem.empty()) {
    trust(context->get(), options.client_ca_pem);
    SSL_CTX_set_verify(context->get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  return context;
}

std::shared_ptr<TlsContext> make_tls_client(const Endpoint& endpoint) {
  auto context = std::make_shared<TlsContext>(false);
  context->host = endpoint.host;
  if (endpoint.ca_pem.empty()) {
    if (SSL_CTX_set_default_verify_paths(context->get()) != 1) refuse("The system's CAs cannot be read");
  } else {
    trust(context->get(), endpoint.ca_pem);
  }
  if (!endpoint.tls_session.empty()) resume(*context, endpoint.tls_session);
  if (!endpoint.certificate_pem.empty() && context->session) {
    context->certificate_pem = endpoint.certificate_pem;
    context->key_pem = endpoint.key_pem;
    SSL_CTX_set_cert_cb(context->get(), provide_identity, context.get());
  } else if (!endpoint.certificate_pem.empty()) {
    use_identity(context->get(), read_identity(endpoint.certificate_pem, endpoint.key_pem),
                 SSL_CTX_use_cert_and_key);
  }
  SSL_CTX_set_verify(context->get(), SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_alpn_protos(context->get(), protocols, sizeof protocols - 1);
  SSL_CTX_set_session_cache_mode(context->get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(context->get(), keep_session);
  return context;
}

std::string newest_session(const TlsContext& context) {
  unsigned char* bytes = nullptr;
  const int size = context.session ? i2d_SSL_SESSION(context.session.get(), &bytes) : 0;
  if (size <= 0) return {};
  std::string session(reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size));
  OPENSSL_free(bytes);
  return session;
}

}  // namespace terrane::http
