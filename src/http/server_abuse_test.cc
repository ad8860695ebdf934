// What a hostile or broken peer sends: the server answers 4xx or closes, and goes on serving others.
#include <gmock/gmock.h>
#include <poll.h>

#include "http/testing.h"

namespace terrane::http {
namespace {

using test::Raw;
using test::TestServer;
using testing::HasSubstr;
using testing::StartsWith;
using namespace std::chrono_literals;

Task<Response> echo(Request& request) {
  Response response;
  response.body = co_await read_body(request, 64 * 1024);
  co_return response;
}

class Abuse : public testing::Test {
 protected:
  Abuse()
      : server_(echo,
                {.idle = 1s, .header_time = 1s, .body_idle = 1s, .header_bytes = 4096, .connections = 8}) {}
  ~Abuse() override {
    // Whatever happened, the next client is served, once places are free again.
    auto last = net::Clock::now() + 10s;
    std::string answer;
    while (answer.empty() && net::Clock::now() < last)
      answer = ask("GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK"));
  }
  std::string ask(std::string_view bytes) { return Raw(server_.port).ask(bytes); }
  TestServer server_;
};

TEST_F(Abuse, Garbage) {
  EXPECT_THAT(ask("\x16\x03\x01\x02"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask(std::string(3, '\0')), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask("hello\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  EXPECT_THAT(ask("GARBAGE\r\n\r\n"), StartsWith("HTTP/1.1 400"));
  std::string random;
  for (std::uint32_t i = 1, x = 12345; i < 60000; ++i)
    random.push_back(static_cast<char>((x = x * 1664525 + 1013904223) >> 24));
  EXPECT_THAT(ask(random), testing::AnyOf(StartsWith("HTTP/1.1 4"), ""));
  EXPECT_THAT(ask("G" + random), testing::AnyOf(StartsWith("HTTP/1.1 4"), ""));
}

TEST_F(Abuse, OversizedHeader) {
  EXPECT_THAT(ask("GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(5000, 'x') + "\r\n\r\n"),
              StartsWith("HTTP/1.1 431"));
  EXPECT_THAT(ask("GET /" + std::string(100000, 'x')), StartsWith("HTTP/1.1 431"));
  std::string fields = "GET / HTTP/1.1\r\nHost: x\r\n";
  for (int i = 0; i < 2000; ++i) fields += "A: b\r\n";
  EXPECT_THAT(ask(fields + "\r\n"), StartsWith("HTTP/1.1 431"));
}

TEST_F(Abuse, SmugglingShapes) {
  std::string hidden = "0\r\n\r\nGET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
  std::string both =
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n" + hidden;
  for (const std::string& text :
       {both, "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n" + hidden,
        "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 44\r\n\r\n" + hidden}) {
    std::string answer = ask(text);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400"));
    EXPECT_EQ(answer.find("HTTP/1.1 ", 1), std::string::npos) << "one answer only: " << answer;
  }
}

TEST_F(Abuse, BadChunks) {
  std::string head = "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (const char* body :
       {"zz\r\n", "5\r\nhelloXX", "ffffffffffffffffffff\r\n", "5\nhello\n0\n\n", "-5\r\n"}) {
    std::string answer = ask(head + body);
    EXPECT_THAT(answer, StartsWith("HTTP/1.1 400")) << body;
    EXPECT_THAT(answer, HasSubstr("Connection: close")) << body;
  }
}

TEST_F(Abuse, TruncatedBody) {
  for (const char* text : {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc",
                           "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"}) {
    Raw raw(server_.port);
    raw.send(text);
    raw.finish();
    EXPECT_THAT(raw.read_all(), StartsWith("HTTP/1.1 400"));
  }
}

TEST_F(Abuse, TruncatedHeader) {
  Raw raw(server_.port);
  raw.send("GET / HTTP/1.1\r\nHo");
  raw.finish();
  EXPECT_EQ(raw.read_all(), "");
}

TEST_F(Abuse, SlowHeaderIsCutAtItsTotalTime) {
  Raw raw(server_.port);
  auto before = net::Clock::now();
  std::string head = "GET / HTTP/1.1\r\nHost: x\r\nA: ";
  raw.send(head);
  // The peer keeps sending; a byte now and then does not prolong the limit.
  std::thread drip([&] {
    while (net::Clock::now() - before < 8s && raw.send("x")) ::poll(nullptr, 0, 50);
  });
  EXPECT_TRUE(raw.closed());
  EXPECT_LT(net::Clock::now() - before, 5s);
  drip.join();
}

TEST_F(Abuse, SlowBodyIsRefusedAfterAPause) {
  Raw raw(server_.port);
  auto before = net::Clock::now();
  EXPECT_THAT(raw.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"),
              StartsWith("HTTP/1.1 400"));
  EXPECT_LT(net::Clock::now() - before, 8s);
}

TEST_F(Abuse, IdleConnectionIsClosed) {
  Raw raw(server_.port);
  EXPECT_TRUE(raw.closed());
}

TEST_F(Abuse, PeerThatReadsNothingIsCut) {
  TestServer other(
      [&](Request&) -> Task<Response> { co_return Response{.body = std::string(64 * 1024 * 1024, 'x')}; },
      {.body_idle = 1s});
  Raw raw(other.port);
  raw.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
  raw.read_to("HTTP/1.1 200 OK");
  // The session ends by itself: stopping finds nothing to wait for after it.
  auto before = net::Clock::now();
  other.stop(20s);
  EXPECT_LT(net::Clock::now() - before, 15s);
}

TEST_F(Abuse, TooManyConnectionsAreClosedAtOnce) {
  std::vector<std::unique_ptr<Raw>> many;
  for (int i = 0; i < 8; ++i) {
    many.push_back(std::make_unique<Raw>(server_.port));
    many.back()->send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_THAT(many.back()->read_to("\r\n\r\n"), StartsWith("HTTP/1.1 200"));
  }
  auto before = net::Clock::now();
  EXPECT_TRUE(Raw(server_.port).closed());
  EXPECT_LT(net::Clock::now() - before, 900ms);
}

TEST_F(Abuse, PeerThatResetsWhileItIsAnswered) {
  for (int i = 0; i < 50; ++i) {
    Raw raw(server_.port);
    raw.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n" +
             std::string(static_cast<std::size_t>(i) * 1200, 'x'));
    raw.reset();
  }
}

}  // namespace
}  // namespace terrane::http
