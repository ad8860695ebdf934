#include "http/tls.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <openssl/err.h>
#include <openssl/x509v3.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"
#include "http/tls_context.h"

namespace terrane::http {
namespace {

namespace asio = boost::asio;
using boost::system::error_code;

constexpr std::size_t record_size = 16 * 1024;
constexpr std::size_t write_size = 4 * record_size;  // encrypted ahead of the socket at most
constexpr std::size_t read_size = record_size + 512;

/// What OpenSSL reads and writes: ciphertext from and for the socket. It never waits.
struct Ciphertext {
  std::unique_ptr<char[]> in = std::make_unique<char[]>(read_size);
  std::size_t in_begin = 0;
  std::size_t in_end = 0;
  bool ended = false;
  std::string out;
};

int read_ciphertext(BIO* bio, char* into, std::size_t size, std::size_t* got) {
  auto* bytes = static_cast<Ciphertext*>(BIO_get_data(bio));
  BIO_clear_retry_flags(bio);
  *got = std::min(size, bytes->in_end - bytes->in_begin);
  if (*got == 0) {
    if (!bytes->ended) BIO_set_retry_read(bio);
    return 0;
  }
  std::memcpy(into, bytes->in.get() + bytes->in_begin, *got);
  bytes->in_begin += *got;
  return 1;
}

int write_ciphertext(BIO* bio, const char* from, std::size_t size, std::size_t* written) {
  static_cast<Ciphertext*>(BIO_get_data(bio))->out.append(from, size);
  *written = size;
  return 1;
}

long control_ciphertext(BIO* bio, int command, long, void*) {
  if (command == BIO_CTRL_EOF) return static_cast<Ciphertext*>(BIO_get_data(bio))->ended;
  return command == BIO_CTRL_FLUSH ? 1 : 0;
}

BIO_METHOD* ciphertext_method() {
  static BIO_METHOD* method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "terrane");
    BIO_meth_set_read_ex(made, read_ciphertext);
    BIO_meth_set_write_ex(made, write_ciphertext);
    BIO_meth_set_ctrl(made, control_ciphertext);
    return made;
  }();
  return method;
}

bool is_address(const std::string& host) {
  std::array<unsigned char, 16> bytes;
  return ::inet_pton(AF_INET, host.c_str(), bytes.data()) == 1 ||
         ::inet_pton(AF_INET6, host.c_str(), bytes.data()) == 1;
}

class TlsStream final : public Stream {
 public:
  TlsStream(net::Executor executor, int fd, std::shared_ptr<TlsContext> context)
      : socket_(std::move(executor), asio::generic::stream_protocol(AF_UNSPEC, 0), fd),
        context_(std::move(context)),
        ssl_(SSL_new(context_->get())) {
    socket_.native_non_blocking(true);
    BIO* bio = ssl_ ? BIO_new(ciphertext_method()) : nullptr;
    if (!bio) throw Error(Code::internal, "No memory for a TLS connection.");
    BIO_set_data(bio, &bytes_);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);
    if (context_->for_server()) {
      SSL_set_accept_state(ssl_.get());
    } else {
      prepare_client();
    }
  }

  Task<> handshake() override {
    while (true) {
      ERR_clear_error();
      int result = SSL_do_handshake(ssl_.get());
      int reason = SSL_get_error(ssl_.get(), result);
      std::string failure =
          result == 1 || reason == SSL_ERROR_WANT_READ ? std::string() : handshake_failure();
      while (pending()) co_await flush_some();  // an alert too
      if (result == 1) co_return;
      if (!failure.empty()) throw Error(Code::unavailable, "TLS: " + failure + ".");
      co_await fill();
    }
  }

  Task<std::size_t> read_some(std::span<char> into) override {
    while (true) {
      ERR_clear_error();
      std::size_t got = 0;
      int result = SSL_read_ex(ssl_.get(), into.data(), into.size(), &got);
      int reason = SSL_get_error(ssl_.get(), result);
      while (pending()) co_await flush_some();
      if (result == 1) co_return got;
      if (reason == SSL_ERROR_ZERO_RETURN) co_return 0;
      if (reason != SSL_ERROR_WANT_READ) throw_broken();
      co_await fill();
    }
  }

  std::size_t try_write(std::span<const std::string_view> pieces) override {
    std::size_t taken = encrypt(pieces);
    send_pending();
    return taken;
  }

  Task<std::size_t> write_some(std::span<const std::string_view> pieces) override {
    while (pending()) co_await flush_some();
    std::size_t taken = encrypt(pieces);
    while (pending()) co_await flush_some();
    co_return taken;
  }

  bool pending() const noexcept override { return !bytes_.out.empty() && !write_failed_; }

  void finish() noexcept override {
    try {
      ERR_clear_error();
      SSL_shutdown(ssl_.get());
      send_pending();
    } catch (const std::exception&) {
      // The peer is gone; that is as good.
    }
    ::shutdown(socket_.native_handle(), SHUT_WR);
  }

  bool quiet() noexcept override {
    if (bytes_.in_begin == bytes_.in_end) {
      ssize_t got = ::recv(socket_.native_handle(), bytes_.in.get(), read_size, MSG_DONTWAIT);
      if (got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK)) return false;
      bytes_.in_begin = 0;
      bytes_.in_end = got > 0 ? static_cast<std::size_t>(got) : 0;
    }
    // What came may be no data: a session ticket.
    ERR_clear_error();
    char byte;
    int result = SSL_peek(ssl_.get(), &byte, 1);
    return result <= 0 && SSL_get_error(ssl_.get(), result) == SSL_ERROR_WANT_READ;
  }

  void cancel() noexcept override {
    error_code ignored;
    socket_.cancel(ignored);
  }

  void close() noexcept override {
    error_code ignored;
    socket_.close(ignored);
  }

  std::string peer_name() const override {
    X509* certificate = SSL_get0_peer_certificate(ssl_.get());
    if (!certificate || SSL_get_verify_result(ssl_.get()) != X509_V_OK) return {};
    X509_NAME* subject = X509_get_subject_name(certificate);
    int at = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
    if (at < 0) return {};
    unsigned char* text = nullptr;
    int length = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, at)));
    if (length < 0) return {};
    std::string name(reinterpret_cast<char*>(text), static_cast<std::size_t>(length));
    OPENSSL_free(text);
    return name.find('\0') == std::string::npos ? name : std::string();
  }

 private:
  void prepare_client() {
    SSL_set_connect_state(ssl_.get());
    X509_VERIFY_PARAM* rules = SSL_get0_param(ssl_.get());
    X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    const std::string& host = context_->host;
    bool set = is_address(host) ? X509_VERIFY_PARAM_set1_ip_asc(rules, host.c_str()) == 1
                                : X509_VERIFY_PARAM_set1_host(rules, host.data(), host.size()) == 1 &&
                                      SSL_set_tlsext_host_name(ssl_.get(), host.c_str()) == 1;
    if (host.empty() || !set) throw Error(Code::invalid, "'" + host + "' is no name for a TLS server.");
    if (context_->session) SSL_set_session(ssl_.get(), context_->session.get());
  }

  std::string handshake_failure() {
    long verified = SSL_get_verify_result(ssl_.get());
    std::string text = tls_error_text();
    if (verified != X509_V_OK)
      return std::string("the certificate was refused: ") + X509_verify_cert_error_string(verified);
    return text.empty() ? "the peer closed the connection" : text;
  }

  /// A peer that closed without saying so, or bytes that are not TLS.
  [[noreturn]] void throw_broken() { throw TlsBroken(tls_error_text()); }

  /// Encrypts up to write_size bytes of the pieces; small ones share a record.
  std::size_t encrypt(std::span<const std::string_view> pieces) {
    thread_local std::array<char, record_size> record;
    std::size_t total = 0;
    std::size_t filled = 0;
    for (std::string_view piece : pieces) {
      while (!piece.empty() && total < write_size) {
        std::size_t count = std::min({piece.size(), record_size - filled, write_size - total});
        std::memcpy(record.data() + filled, piece.data(), count);
        piece.remove_prefix(count);
        filled += count;
        total += count;
        if (filled == record_size) encrypt_record(record.data(), std::exchange(filled, 0));
      }
    }
    if (filled > 0) encrypt_record(record.data(), filled);
    OPENSSL_cleanse(record.data(), std::min(total, record_size));
    return total;
  }

  void encrypt_record(const char* from, std::size_t size) {
    ERR_clear_error();
    std::size_t written = 0;
    // It writes to memory, so it takes all or fails.
    if (SSL_write_ex(ssl_.get(), from, size, &written) != 1) throw_broken();
  }

  void send_pending() {
    std::string_view out = bytes_.out;
    if (!out.empty()) sent(send_now(socket_.native_handle(), {&out, 1}));
  }

  Task<> flush_some() {
    error_code failure;
    std::size_t count = co_await socket_.async_write_some(asio::buffer(bytes_.out),
                                                          asio::redirect_error(asio::use_awaitable, failure));
    if (failure) {
      write_failed_ = true;
      throw boost::system::system_error(failure);
    }
    sent(count);
  }

  void sent(std::size_t count) {
    bytes_.out.erase(0, count);
    if (bytes_.out.empty() && bytes_.out.capacity() > 2 * record_size) bytes_.out = {};
  }

  /// Reads ciphertext; OpenSSL has used up all that was there.
  Task<> fill() {
    error_code failure;
    std::size_t got = co_await socket_.async_read_some(asio::buffer(bytes_.in.get(), read_size),
                                                       asio::redirect_error(asio::use_awaitable, failure));
    bytes_.in_begin = 0;
    bytes_.in_end = got;
    if (failure == asio::error::eof) {
      if (bytes_.ended) throw boost::system::system_error(failure);
      bytes_.ended = true;
    } else if (failure) {
      throw boost::system::system_error(failure);
    }
  }

  asio::generic::stream_protocol::socket socket_;
  Ciphertext bytes_;
  // Nothing more can be sent, not even an alert. Whoever reads on, for what the peer may have answered
  // before, must not try: after a failed write Asio waits for an event that the kernel has reported already.
  bool write_failed_ = false;
  std::shared_ptr<TlsContext> context_;
  std::unique_ptr<SSL, Free<SSL_free>> ssl_;
};

}  // namespace

TlsBroken::TlsBroken(std::string text)
    : boost::system::system_error(asio::error::make_error_code(asio::error::connection_reset)),
      reason(std::move(text)) {}

std::unique_ptr<Stream> make_tls_stream(net::Executor executor, int fd, std::shared_ptr<TlsContext> context) {
  return std::make_unique<TlsStream>(std::move(executor), fd, std::move(context));
}

}  // namespace terrane::http
