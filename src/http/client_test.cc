#include "http/client.h"

#include <atomic>
#include <fcntl.h>
#include <fstream>
#include <gmock/gmock.h>

#include "http/testing.h"

namespace terrane::http {
namespace {

using test::Loop;
using test::TestServer;
using testing::HasSubstr;
using namespace std::chrono_literals;

constexpr std::uint64_t megabyte = 1024 * 1024;

/// `size` bytes that are made as they are read, in pieces that do not fit anything evenly.
class Made final : public ByteSource {
 public:
  explicit Made(std::uint64_t size) : left_(size) {}
  Task<std::size_t> read(std::span<char> into) override {
    std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>({left_, into.size(), 48'611}));
    for (std::size_t i = 0; i < count; i += 512) into[i] = static_cast<char>(left_ >> 9);
    left_ -= count;
    co_return count;
  }

 private:
  std::uint64_t left_;
};

Task<std::uint64_t> count(ByteSource& source) {
  std::vector<char> piece(64 * 1024);
  std::uint64_t total = 0;
  while (std::size_t got = co_await source.read(piece)) total += got;
  co_return total;
}

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
constexpr bool memory_is_ours = false;  // a sanitizer keeps what was freed
#else
constexpr bool memory_is_ours = true;
#endif
#endif

/// The most memory that this process has used since `reset`, in bytes.
std::uint64_t peak_memory(bool reset) {
  if (reset) std::ofstream("/proc/self/clear_refs") << "5";
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoull(line.substr(6)) * 1024;
  }
  return 0;
}

Handler streaming_handler() {
  return [](Request& request) -> Task<Response> {
    Response response;
    if (request.method == Method::put) {
      response.body = std::to_string(co_await count(*request.body));
    } else {
      std::uint64_t size = std::stoull(request.path.substr(1));
      response.stream = std::make_shared<Made>(size);
      if (request.query.find("length")) response.stream_length = size;
    }
    co_return response;
  };
}

/// A server whose answers to each connection are given, whatever is asked; one list of answers a connection.
class Scripted {
 public:
  explicit Scripted(std::vector<std::vector<std::string>> connections)
      : listener_(bind_tcp("127.0.0.1", 0)), port(local_port(listener_)) {
    ::fcntl(listener_, F_SETFL, 0);  // blocking
    thread_ = std::thread([this, connections] {
      for (const auto& answers : connections) {
        int fd = ::accept(listener_, nullptr, nullptr);
        if (fd < 0) return;
        ++accepted;
        std::string got;
        for (const std::string& answer : answers) {
          std::array<char, 4096> piece;
          while (got.find("\r\n\r\n") == std::string::npos) {
            ssize_t n = ::recv(fd, piece.data(), piece.size(), 0);
            if (n <= 0) break;
            got.append(piece.data(), static_cast<std::size_t>(n));
          }
          got.clear();
          ::send(fd, answer.data(), answer.size(), MSG_NOSIGNAL);
        }
        ::close(fd);
      }
    });
  }
  ~Scripted() {
    ::shutdown(listener_, SHUT_RDWR);
    thread_.join();
    ::close(listener_);
  }

 private:
  int listener_;
  std::thread thread_;

 public:
  std::uint16_t port;
  std::atomic<int> accepted = 0;
};

/// Asks with `client` and returns status and body, or the error's text.
Task<std::string> ask(Client& client, ClientRequest request = {}) {
  try {
    ClientResponse response = co_await client.send(std::move(request));
    co_return std::to_string(response.status) + " " + co_await response.text();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unavailable);
    co_return error.detail();
  }
}

std::string ask_once(std::uint16_t port, ClientRequest request = {}, ClientOptions options = {}) {
  Loop loop;
  std::string result;
  loop.run([&]() -> Task<> {
    Client client(loop.executor(), {.host = "127.0.0.1", .port = port}, options);
    result = co_await ask(client, std::move(request));
  });
  return result;
}

TEST(Client, SendsMethodTargetFieldsAndBody) {
  TestServer server([](Request& request) -> Task<Response> {
    std::string body = co_await read_body(request, 1000);
    co_return Response{.status = 202,
                       .body = std::string(name(request.method)) + " " + request.target + " " +
                               std::string(request.headers.find("x-a").value_or("-")) + " " + body};
  });
  Headers headers;
  headers.add("X-A", "b");
  EXPECT_EQ(ask_once(server.port,
                     {.method = Method::patch, .target = "/p?q=1", .headers = headers, .body = "body"}),
            "202 PATCH /p?q=1 b body");
  EXPECT_EQ(ask_once(server.port, {.method = Method::del, .target = "/"}), "202 DELETE / - ");
  EXPECT_EQ(ask_once(server.port, {.method = Method::head, .target = "/"}), "202 ");
}

TEST(Client, RefusesATargetThatWouldSplitTheRequest) {
  Loop loop;
  EXPECT_THROW(loop.run([&]() -> Task<> {
    Client client(loop.executor(), {.host = "127.0.0.1", .port = 1});
    co_await client.send({.target = "/ HTTP/1.1\r\nX: y"});
  }),
               Error);
}

TEST(Client, UsesItsConnectionsAgainAndKeepsTheirNumber) {
  std::set<std::string> requests;
  int running = 0;
  int most = 0;
  Handler handler = [&](Request& request) -> Task<Response> {
    most = std::max(most, ++running);
    co_await net::sleep_for(2ms);
    --running;
    co_return Response{.body = request.target};
  };
  TestServer server(handler);
  std::vector<std::string> answers;
  server.loop.run([&]() -> Task<> {
    Client client(server.loop.executor(), {.host = "localhost", .port = server.port}, {.connections = 3});
    int open = 20;
    net::Event ended(server.loop.executor());
    auto one = [](Client& with, int i, std::vector<std::string>& into, int& left,
                  net::Event& event) -> Task<> {
      into.push_back(co_await ask(with, {.target = "/" + std::to_string(i)}));
      --left;
      event.notify();
    };
    for (int i = 0; i < 20; ++i)
      net::spawn(server.loop.executor(), "one", one(client, i, answers, open, ended));
    while (open > 0) co_await ended.wait_for(10s);
  });
  EXPECT_EQ(most, 3);
  ASSERT_EQ(answers.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_THAT(answers, testing::Contains("200 /" + std::to_string(i)));
}

TEST(Client, StreamsBothWaysWithFlatMemory) {
  TestServer server(streaming_handler());
  auto transfer = [&]() -> Task<> {
    Client client(server.loop.executor(), {.host = "127.0.0.1", .port = server.port});
    constexpr std::uint64_t size = 200 * megabyte;
    for (bool with_length : {true, false}) {
      Made source(size);
      ClientRequest request{.method = Method::put, .target = "/", .stream = &source};
      if (with_length) request.stream_length = size;
      EXPECT_EQ(co_await ask(client, std::move(request)), "200 " + std::to_string(size));
      ClientResponse response =
          co_await client.send({.target = "/" + std::to_string(size) + (with_length ? "?length" : "")});
      EXPECT_EQ(response.content_length.has_value(), with_length);
      EXPECT_EQ(co_await count(*response.body), size);
    }
  };
  std::uint64_t before = peak_memory(true);
  server.loop.run(transfer);
  if (memory_is_ours) EXPECT_LT(peak_memory(false) - before, 16 * megabyte);
}

TEST(Client, StreamsOverTls) {
  crypto::Identity ca = crypto::make_ca("CA", std::chrono::days(1));
  crypto::Identity identity =
      crypto::make_certificate(ca, "x", {"localhost"}, crypto::Usage::server, std::chrono::days(1));
  TestServer server(streaming_handler(), {},
                    TlsServerOptions{identity.certificate_pem, identity.key_pem, ""});
  std::uint64_t before = peak_memory(true);
  server.loop.run([&]() -> Task<> {
    Client client(server.loop.executor(),
                  {.host = "localhost", .port = server.port, .tls = true, .ca_pem = ca.certificate_pem});
    constexpr std::uint64_t size = 50 * megabyte;
    Made source(size);
    EXPECT_EQ(co_await ask(client, {.method = Method::put, .target = "/", .stream = &source}),
              "200 " + std::to_string(size));
    ClientResponse response = co_await client.send({.target = "/" + std::to_string(size)});
    EXPECT_EQ(co_await count(*response.body), size);
  });
  if (memory_is_ours) EXPECT_LT(peak_memory(false) - before, 16 * megabyte);
}

const std::string ok = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

TEST(Client, AsksAgainWhenAKeptConnectionWasClosed) {
  // The first connection answers once and takes a second request without an answer.
  Scripted server({{ok, ""}, {ok}});
  Loop loop;
  loop.run([&]() -> Task<> {
    Client client(loop.executor(), {.host = "127.0.0.1", .port = server.port});
    EXPECT_EQ(co_await ask(client), "200 ok");
    EXPECT_EQ(co_await ask(client, {.method = Method::post, .body = "x"}), "200 ok");
  });
  EXPECT_EQ(server.accepted, 2);
}

TEST(Client, DoesNotAskAgainOnAFreshConnectionOrForAStream) {
  Scripted server({{""}, {ok, ""}, {ok}});
  Loop loop;
  loop.run([&]() -> Task<> {
    Client client(loop.executor(), {.host = "127.0.0.1", .port = server.port});
    EXPECT_THAT(co_await ask(client), HasSubstr("without an answer"));
    EXPECT_EQ(co_await ask(client), "200 ok");
    Made source(10);
    EXPECT_THAT(co_await ask(client, {.method = Method::post, .stream = &source}),
                HasSubstr("127.0.0.1 port"));
    EXPECT_EQ(co_await ask(client), "200 ok");
  });
}

TEST(Client, UnderstandsWhatServersSay) {
  EXPECT_EQ(
      ask_once(
          Scripted({{"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok}}).port),
      "200 ok");
  EXPECT_EQ(ask_once(Scripted({{"HTTP/1.1 200 OK\r\n\r\nto the end"}}).port), "200 to the end");
  EXPECT_EQ(ask_once(Scripted({{"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold"}}).port), "200 old");
  EXPECT_EQ(ask_once(Scripted({{"HTTP/1.1 204 No Content\r\n\r\n"}}).port), "204 ");
  EXPECT_EQ(
      ask_once(
          Scripted({{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n2\r\nbc\r\n0\r\n\r\n"}})
              .port),
      "200 abc");
}

TEST(Client, NamesTheEndpointAndWhatIsWrongWithItsAnswer) {
  EXPECT_THAT(ask_once(Scripted({{"what?\r\n\r\n"}}).port), HasSubstr("not HTTP/1.1"));
  EXPECT_THAT(ask_once(Scripted({{"HTTP/1.1 200 OK\r\nA: " + std::string(40'000, 'x')}}).port),
              HasSubstr("too long"));
  EXPECT_THAT(ask_once(Scripted({{"HTTP/1.1 200 OK\r\nCont"}}).port), HasSubstr("broke off"));
  EXPECT_THAT(ask_once(Scripted({{"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab"}}).port),
              HasSubstr("broke off within a body"));
  EXPECT_THAT(ask_once(Scripted({{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"}}).port),
              HasSubstr("not properly chunked"));
  EXPECT_THAT(ask_once(Scripted({{"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n"}}).port),
              HasSubstr("upgrade"));
  int unused = bind_tcp("127.0.0.1", 0);
  std::uint16_t port = local_port(unused);
  ::close(unused);
  EXPECT_EQ(ask_once(port),
            "127.0.0.1 port " + std::to_string(port) + ": cannot connect: Connection refused.");
}

TEST(Client, KeepsItsTimeLimits) {
  TestServer server([](Request&) -> Task<Response> {
    co_await net::sleep_for(60s);
    co_return Response{};
  });
  auto before = net::Clock::now();
  EXPECT_THAT(ask_once(server.port, {}, {.header_time = 50ms}), HasSubstr("no answer in time"));
  EXPECT_THAT(ask_once(server.port, {.header_time = 50ms}), HasSubstr("no answer in time"));
  // Nobody accepts here, so TLS has nobody to talk to.
  int listener = bind_tcp("127.0.0.1", 0);
  Loop loop;
  loop.run([&]() -> Task<> {
    Client client(loop.executor(), {.host = "127.0.0.1", .port = local_port(listener), .tls = true},
                  {.connect_time = 50ms});
    EXPECT_THAT(co_await ask(client), HasSubstr("no connection in time"));
  });
  ::close(listener);
  EXPECT_LT(net::Clock::now() - before, 10s);
}

TEST(Client, EndsABodyThatPausesTooLong) {
  TestServer server([](Request&) -> Task<Response> {
    class Slow final : public ByteSource {
      Task<std::size_t> read(std::span<char> into) override {
        if (std::exchange(asked_, true)) co_await net::sleep_for(60s);
        into[0] = 'x';
        co_return 1;
      }
      bool asked_ = false;
    };
    Response response;
    response.stream = std::make_shared<Slow>();
    co_return response;
  });
  EXPECT_THAT(ask_once(server.port, {}, {.body_idle = 50ms}), HasSubstr("too long"));
}

TEST(Client, GetsAnEarlyAnswerToAnUploadThatIsNotRead) {
  TestServer server([](Request&) -> Task<Response> { co_return Response{.status = 403, .body = "no"}; });
  server.loop.run([&]() -> Task<> {
    Client client(server.loop.executor(), {.host = "127.0.0.1", .port = server.port});
    Made source(100 * megabyte);
    EXPECT_EQ(co_await ask(client, {.method = Method::put, .stream = &source}), "403 no");
    Made small(1000);
    EXPECT_EQ(co_await ask(client, {.method = Method::put, .stream = &small}), "403 no");
  });
}

TEST(Client, PassesTheSourcesFailureOn) {
  class Broken final : public ByteSource {
    Task<std::size_t> read(std::span<char>) override {
      throw Error(Code::conflict, "the source broke");
      co_return 0;
    }
  };
  TestServer server(streaming_handler());
  server.loop.run([&]() -> Task<> {
    Client client(server.loop.executor(), {.host = "127.0.0.1", .port = server.port});
    Broken source;
    try {
      co_await client.send({.method = Method::put, .stream = &source});
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::conflict);
    }
    Made shorter(10);
    try {
      co_await client.send({.method = Method::put, .stream = &shorter, .stream_length = 20});
      ADD_FAILURE() << "no error";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::internal);
    }
    EXPECT_THAT(co_await ask(client, {.target = "/5"}), testing::StartsWith("200 "));
  });
}

TEST(Client, MayGoWhileRequestsRun) {
  std::shared_ptr<net::Event> release;
  auto reached = std::make_shared<std::promise<void>>();
  TestServer server([&](Request& request) -> Task<Response> {
    if (request.path == "/slow") {
      release = std::make_shared<net::Event>(co_await boost::asio::this_coro::executor);
      reached->set_value();
      co_await release->wait_for(10s);
    }
    co_return Response{.body = request.path};
  });
  auto client =
      std::make_unique<Client>(server.loop.executor(), Endpoint{.host = "127.0.0.1", .port = server.port},
                               ClientOptions{.connections = 1});
  auto request = [](Task<ClientResponse> sending, std::promise<std::string>& into) -> Task<> {
    ClientResponse response = co_await std::move(sending);
    into.set_value(co_await response.text());
  };
  std::promise<std::string> slow;
  std::promise<std::string> waiting;
  server.loop.call([&] {
    net::spawn(server.loop.executor(), "slow", request(client->send({.target = "/slow"}), slow));
    net::spawn(server.loop.executor(), "waiting", request(client->send({.target = "/waiting"}), waiting));
  });
  reached->get_future().get();
  server.loop.call([&] {
    client.reset();
    release->notify();
  });
  EXPECT_EQ(slow.get_future().get(), "/slow");
  EXPECT_EQ(waiting.get_future().get(), "/waiting");
}

TEST(Client, GivesUpWhenNoConnectionBecomesFree) {
  TestServer server(streaming_handler());
  server.loop.run([&]() -> Task<> {
    Client client(server.loop.executor(), {.host = "127.0.0.1", .port = server.port}, {.connections = 1});
    ClientResponse open = co_await client.send({.target = "/100000000"});
    EXPECT_THAT(co_await ask(client, {.header_time = 20ms}), HasSubstr("all connections are in use"));
    open = {};
    EXPECT_EQ((co_await ask(client, {.target = "/3"})).size(), 7u);
  });
}

TEST(ClientResponse, TextIsLimited) {
  TestServer server(streaming_handler());
  server.loop.run([&]() -> Task<> {
    Client client(server.loop.executor(), {.host = "127.0.0.1", .port = server.port});
    for (const char* target : {"/1000", "/1000?length"}) {
      ClientResponse response = co_await client.send({.target = target});
      try {
        co_await response.text(999);
        ADD_FAILURE() << "no error";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::too_large);
      }
    }
    ClientResponse response = co_await client.send({.target = "/1000"});
    EXPECT_EQ((co_await response.text(1000)).size(), 1000u);
  });
}

}  // namespace
}  // namespace terrane::http
