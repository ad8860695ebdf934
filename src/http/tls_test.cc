#include "http/tls.h"

#include <atomic>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include "http/testing.h"
#include "http/tls_context.h"

namespace terrane::http {
namespace {

using test::TestServer;
using testing::HasSubstr;
using namespace std::chrono_literals;

/// The CA and the certificates of these tests, made once.
struct Certificates {
  crypto::Identity ca = crypto::make_ca("Test CA", std::chrono::days(2));
  crypto::Identity other_ca = crypto::make_ca("Other CA", std::chrono::days(2));
  crypto::Identity server = crypto::make_certificate(ca, "server", {"localhost", "127.0.0.1"},
                                                     crypto::Usage::server, std::chrono::days(1));
  crypto::Identity node =
      crypto::make_certificate(ca, "node-1", {}, crypto::Usage::client, std::chrono::days(1));
  crypto::Identity stranger =
      crypto::make_certificate(other_ca, "node-1", {}, crypto::Usage::client, std::chrono::days(1));
};

const Certificates& certificates() {
  static const Certificates made;
  return made;
}

Task<Response> tell_client(Request& request) { co_return Response{.body = "client:" + request.client_name}; }

class Tls : public testing::Test {
 protected:
  void start(bool ask_client = false) {
    TlsServerOptions tls{certificates().server.certificate_pem, certificates().server.key_pem,
                         ask_client ? certificates().ca.certificate_pem : ""};
    server_ = std::make_unique<TestServer>(tell_client, ServerOptions{.header_time = 2s}, tls);
  }
  Endpoint endpoint(const crypto::Identity* own = nullptr) {
    Endpoint to{
        .host = "localhost", .port = server_->port, .tls = true, .ca_pem = certificates().ca.certificate_pem};
    if (own) {
      to.certificate_pem = own->certificate_pem;
      to.key_pem = own->key_pem;
    }
    return to;
  }
  /// The answer's body, or the error's text.
  std::string ask(Endpoint to) {
    std::string result;
    server_->loop.run([&]() -> Task<> {
      try {
        Client client(server_->loop.executor(), to);
        ClientResponse response = co_await client.send({});
        result = co_await response.text();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::unavailable);
        result = error.detail();
      }
    });
    return result;
  }
  std::unique_ptr<TestServer> server_;
};

/// One handshake with OpenSSL's own blocking client.
class OpenSslClient {
 public:
  explicit OpenSslClient(int version, SSL_SESSION* session = nullptr, const char* protocols = "\x08http/1.1")
      : context_(SSL_CTX_new(TLS_client_method())) {
    SSL_CTX_set_min_proto_version(context_.get(), version);
    SSL_CTX_set_max_proto_version(context_.get(), version);
    ssl_.reset(SSL_new(context_.get()));
    if (session) SSL_set_session(ssl_.get(), session);
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(protocols),
                        static_cast<unsigned>(std::strlen(protocols)));
  }
  bool connect(int fd) {
    SSL_set_fd(ssl_.get(), fd);
    return SSL_connect(ssl_.get()) == 1;
  }
  std::string ask(std::string_view text) {
    SSL_write(ssl_.get(), text.data(), static_cast<int>(text.size()));
    std::string result;
    std::array<char, 4096> piece;
    for (int got; (got = SSL_read(ssl_.get(), piece.data(), piece.size())) > 0;)
      result.append(piece.data(), static_cast<std::size_t>(got));
    return result;
  }
  SSL* get() { return ssl_.get(); }

 private:
  std::unique_ptr<SSL_CTX, Free<SSL_CTX_free>> context_;
  std::unique_ptr<SSL, Free<SSL_free>> ssl_;
};

constexpr const char* get_close = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

TEST_F(Tls, Speaks12And13AndResumes) {
  start();
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    test::Raw raw(server_->port);
    OpenSslClient first(version);
    ASSERT_TRUE(first.connect(raw.fd())) << version;
    EXPECT_EQ(SSL_version(first.get()), version);
    EXPECT_THAT(first.ask(get_close), testing::EndsWith("client:"));
    const unsigned char* chosen = nullptr;
    unsigned length = 0;
    SSL_get0_alpn_selected(first.get(), &chosen, &length);
    EXPECT_EQ(std::string_view(reinterpret_cast<const char*>(chosen), length), "http/1.1");

    std::unique_ptr<SSL_SESSION, Free<SSL_SESSION_free>> session(SSL_get1_session(first.get()));
    test::Raw again(server_->port);
    OpenSslClient second(version, session.get());
    ASSERT_TRUE(second.connect(again.fd())) << version;
    EXPECT_EQ(SSL_session_reused(second.get()), 1) << version;
    EXPECT_THAT(second.ask(get_close), testing::EndsWith("client:"));
  }
}

TEST_F(Tls, RefusesOlderVersionsAndOtherProtocols) {
  start();
  test::Raw raw(server_->port);
  EXPECT_FALSE(OpenSslClient(TLS1_1_VERSION).connect(raw.fd()));
  test::Raw other(server_->port);
  EXPECT_FALSE(OpenSslClient(TLS1_3_VERSION, nullptr, "\x02h2").connect(other.fd()));
}

TEST_F(Tls, ClientChecksChainNameAndAddress) {
  start();
  EXPECT_EQ(ask(endpoint()), "client:");
  Endpoint address = endpoint();
  address.host = "127.0.0.1";
  EXPECT_EQ(ask(address), "client:");
  Endpoint stranger = endpoint();
  stranger.ca_pem = certificates().other_ca.certificate_pem;
  EXPECT_THAT(ask(stranger), HasSubstr("certificate was refused"));
  Endpoint system = endpoint();
  system.ca_pem.clear();
  EXPECT_THAT(ask(system), HasSubstr("certificate was refused"));
}

TEST_F(Tls, ClientRefusesACertificateOfAnotherName) {
  crypto::Identity other =
      crypto::make_certificate(certificates().ca, "x", {"elsewhere.example", "127.0.0.2"},
                               crypto::Usage::server, std::chrono::days(1));
  server_ = std::make_unique<TestServer>(tell_client, ServerOptions{},
                                         TlsServerOptions{other.certificate_pem, other.key_pem, ""});
  EXPECT_THAT(ask(endpoint()), HasSubstr("certificate was refused"));
  Endpoint address = endpoint();
  address.host = "127.0.0.1";
  EXPECT_THAT(ask(address), HasSubstr("certificate was refused"));
}

TEST_F(Tls, ClientCertificateGivesTheClientsName) {
  start(true);
  EXPECT_EQ(ask(endpoint(&certificates().node)), "client:node-1");
  EXPECT_THAT(ask(endpoint()), HasSubstr("certificate required"));
  EXPECT_THAT(ask(endpoint(&certificates().stranger)), HasSubstr("unknown ca"));
  EXPECT_THAT(ask(endpoint(&certificates().server)), HasSubstr("certificate"));  // not meant for clients
}

TEST_F(Tls, ClientNameSurvivesResumption) {
  start(true);
  std::vector<std::string> answers;
  server_->loop.run([&]() -> Task<> {
    Client client(server_->loop.executor(), endpoint(&certificates().node));
    for (int i = 0; i < 3; ++i) {
      ClientResponse response =
          co_await client.send({.headers = {}, .body = std::string(2'000'000, 'x')});  // unread: it closes
      answers.push_back(co_await response.text());
    }
  });
  EXPECT_THAT(answers, testing::Each("client:node-1"));
  EXPECT_EQ(answers.size(), 3u);
}

TEST_F(Tls, ASessionIsResumedByAnotherClient) {
  start(true);
  std::vector<std::string> answers;
  server_->loop.run([&]() -> Task<> {
    Client first(server_->loop.executor(), endpoint(&certificates().node));
    EXPECT_EQ(first.tls_session(), "");
    answers.push_back(co_await (co_await first.send({.headers = {}, .body = {}})).text());
    // A certificate that the server refuses, and that a resumed session does not need.
    Endpoint second = endpoint(&certificates().stranger);
    second.tls_session = first.tls_session();
    EXPECT_NE(second.tls_session, "");
    Client resumed(server_->loop.executor(), second);
    answers.push_back(co_await (co_await resumed.send({.headers = {}, .body = {}})).text());
    // One that is none costs a whole handshake.
    Endpoint third = endpoint(&certificates().node);
    third.tls_session = "no session";
    Client fresh(server_->loop.executor(), third);
    answers.push_back(co_await (co_await fresh.send({.headers = {}, .body = {}})).text());
  });
  EXPECT_THAT(answers, testing::Each("client:node-1"));
  EXPECT_EQ(answers.size(), 3u);
}

TEST_F(Tls, PlainHttpAndGarbageAreRefused) {
  start();
  std::string answer = test::Raw(server_->port).ask(get_close);
  EXPECT_EQ(answer.find("HTTP"), std::string::npos);
  Endpoint plain = endpoint();
  plain.tls = false;
  EXPECT_THAT(ask(plain), HasSubstr("localhost port"));
}

TEST_F(Tls, SilentHandshakeIsCut) {
  start();
  EXPECT_TRUE(test::Raw(server_->port).closed());
}

/// Bytes without end; it counts what was taken.
class Endless final : public ByteSource {
 public:
  Task<std::size_t> read(std::span<char> into) override {
    std::ranges::fill(into, 'x');
    taken += into.size();
    co_return into.size();
  }
  std::atomic<std::uint64_t> taken = 0;
};

/// A TLS server that takes one connection, and resets it when the client's upload has come to a halt: nobody
/// reads it. As a server does that is killed.
class Resetting {
 public:
  explicit Resetting(const Endless& upload) : upload_(upload), thread_([this] { serve(); }) {}
  ~Resetting() {
    thread_.join();
    ::close(listener_);
  }
  std::uint16_t port() const { return local_port(listener_); }

 private:
  void serve() {
    std::shared_ptr<TlsContext> context =
        make_tls_server({certificates().server.certificate_pem, certificates().server.key_pem, ""});
    ::fcntl(listener_, F_SETFL, 0);  // it waits for its client
    int fd = ::accept(listener_, nullptr, nullptr);
    std::unique_ptr<SSL, Free<SSL_free>> ssl(SSL_new(context->get()));
    SSL_set_fd(ssl.get(), fd);
    EXPECT_EQ(SSL_accept(ssl.get()), 1);
    const auto deadline = std::chrono::steady_clock::now() + 20s;
    std::uint64_t before = 0;
    for (int still = 0; still < 20 && std::chrono::steady_clock::now() < deadline;) {
      std::uint64_t now = upload_.taken;
      still = now > 0 && now == before ? still + 1 : 0;
      before = now;
      std::this_thread::sleep_for(10ms);
    }
    EXPECT_LT(std::chrono::steady_clock::now(), deadline);
    ::close(fd);
  }

  const Endless& upload_;
  int listener_ = bind_tcp("127.0.0.1", 0);
  std::thread thread_;
};

TEST_F(Tls, AnUploadThatIsResetFailsAtOnce) {
  Endless upload;
  Resetting server(upload);
  test::Loop loop;
  std::string failure;
  const auto began = std::chrono::steady_clock::now();
  loop.run([&]() -> Task<> {
    Endpoint to{
        .host = "localhost", .port = server.port(), .tls = true, .ca_pem = certificates().ca.certificate_pem};
    Client client(loop.executor(), to, {.header_time = 60s, .body_idle = 60s});
    ClientRequest request;
    request.method = Method::put;
    request.stream = &upload;
    request.stream_length = std::uint64_t{1} << 40;
    try {
      co_await client.send(std::move(request));
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
      failure = error.detail();
    }
  });
  EXPECT_THAT(failure, HasSubstr("localhost port"));
  EXPECT_LT(std::chrono::steady_clock::now() - began, 30s);
}

TEST_F(Tls, BadOptionsSayWhatIsWrong) {
  auto message = [](const TlsServerOptions& options) -> std::string {
    try {
      make_tls_server(options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::invalid);
      return error.detail();
    }
    return "";
  };
  const crypto::Identity& good = certificates().server;
  EXPECT_THAT(message({"x", good.key_pem, ""}), HasSubstr("The TLS certificate is not a certificate in PEM"));
  EXPECT_THAT(message({good.certificate_pem, "x", ""}), HasSubstr("The TLS key is not a private key"));
  EXPECT_THAT(message({good.certificate_pem, certificates().node.key_pem, ""}), HasSubstr("does not belong"));
  EXPECT_THAT(message({good.certificate_pem, good.key_pem, "x"}),
              HasSubstr("The TLS CA is not a certificate"));
  EXPECT_EQ(message({good.certificate_pem, good.key_pem, ""}), "");
}

}  // namespace
}  // namespace terrane::http
