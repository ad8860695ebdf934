#include "http/server.h"

#include <gmock/gmock.h>

#include "http/testing.h"

namespace terrane::http {
namespace {

using test::Raw;
using test::TestServer;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;
using namespace std::chrono_literals;

constexpr const char* get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr const char* get_close = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

/// Answers with the given pieces, one a read.
class Pieces final : public ByteSource {
 public:
  explicit Pieces(std::vector<std::string> pieces) : pieces_(std::move(pieces)) {}
  Task<std::size_t> read(std::span<char> into) override {
    if (pieces_.empty()) co_return 0;
    std::string piece = std::move(pieces_.front());
    pieces_.erase(pieces_.begin());
    if (piece == "!") throw Error(Code::internal, "broken source");
    co_return piece.copy(into.data(), into.size());
  }

 private:
  std::vector<std::string> pieces_;
};

Task<Response> tell_target(Request& request) {
  Response response;
  response.body = std::string(name(request.method)) + " " + request.target;
  co_return response;
}

Task<Response> echo(Request& request) {
  Response response;
  response.body = co_await read_body(request, 64 * 1024);
  co_return response;
}

Task<Response> ignore_body(Request& request) {
  Response response;
  response.body = "done";
  co_return response;
}

TEST(Server, AnswersWithTheFieldsOfHttp) {
  TestServer server([](Request& request) -> Task<Response> {
    Response response;
    response.status = 201;
    response.headers.add("Content-Type", "text/x");
    response.headers.add("Content-Length", "999");  // the server's own
    response.body =
        request.peer + " " + request.id.substr(0, 4) + " " + std::string(*request.query.find("a"));
    co_return response;
  });
  std::string answer = Raw(server.port).ask("GET /p?a=b HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 201 Created\r\nDate: "));
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Type: text/x\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nContent-Length: 16\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("999")));
  EXPECT_THAT(answer, EndsWith("Connection: close\r\n\r\n127.0.0.1 req- b"));
}

TEST(Server, KeepsTheConnectionAndAnswersPipelinedRequestsInOrder) {
  TestServer server(tell_target);
  Raw raw(server.port);
  std::string all;
  for (int i = 0; i < 50; ++i) all += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: x\r\n\r\n";
  ASSERT_TRUE(raw.send(all));
  for (int i = 0; i < 50; ++i)
    EXPECT_THAT(raw.read_to("GET /" + std::to_string(i)), StartsWith("HTTP/1.1 200 OK")) << i;
  EXPECT_THAT(raw.ask(get_close), EndsWith("GET /"));
}

TEST(Server, HandlesPipelinedRequestsOneAtATime) {
  int running = 0;
  int most = 0;
  Handler handler = [&](Request& request) -> Task<Response> {
    most = std::max(most, ++running);
    co_await net::sleep_for(5ms);
    --running;
    co_return Response{.body = request.path};
  };
  TestServer server(handler);
  Raw raw(server.port);
  raw.send("GET /1 HTTP/1.1\r\nHost: x\r\n\r\nGET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(raw.read_to("/1"), EndsWith("/1"));
  EXPECT_THAT(raw.read_to("/2"), EndsWith("/2"));
  EXPECT_EQ(most, 1);
}

TEST(Server, ReadsRequestsThatComeByteByByte) {
  TestServer server(echo);
  Raw raw(server.port);
  for (char c : std::string("\r\n\r\nPOST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nConnection: "
                            "close\r\n\r\n3\r\nabc\r\n0\r\n\r\n")) {
    ASSERT_TRUE(raw.send({&c, 1}));
  }
  EXPECT_THAT(raw.read_all(), EndsWith("\r\n\r\nabc"));
}

TEST(Server, GoesOnAfterBodiesOfBothFramings) {
  TestServer server(echo);
  Raw raw(server.port);
  raw.send(
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloPOST / HTTP/1.1\r\nHost: "
      "x\r\nTransfer-Encoding: chunked\r\n\r\n");
  raw.send("5\r\nworld\r\n0\r\n\r\n");
  EXPECT_THAT(raw.read_to("hello"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(raw.read_to("world"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(raw.ask(get_close), StartsWith("HTTP/1.1 200"));
}

TEST(Server, DropsASmallUnreadBodyAndClosesOnALargeOne) {
  TestServer server(ignore_body);
  Raw raw(server.port);
  raw.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + std::string(100000, 'x') + get);
  EXPECT_THAT(raw.read_to("done"), Not(HasSubstr("Connection: close")));
  EXPECT_THAT(raw.read_to("done"), StartsWith("HTTP/1.1 200"));
  Raw other(server.port);
  EXPECT_THAT(other.ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\nxxx"),
              HasSubstr("Connection: close"));
}

TEST(Server, AnswersHeadLikeGetWithoutABody) {
  TestServer server(tell_target);
  std::string answer = Raw(server.port).ask("HEAD /abc HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("Content-Length: 9\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST(Server, SendsNoBodyWhereThereMustBeNone) {
  TestServer server([](Request&) -> Task<Response> { co_return Response{.status = 204, .body = "nothing"}; });
  std::string answer = Raw(server.port).ask(get_close);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 204 No Content\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("Content-Length")));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n"));
}

TEST(Server, SaysContinueAtTheFirstReadOfTheBody) {
  TestServer server(echo);
  Raw raw(server.port);
  raw.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  EXPECT_EQ(raw.read_to("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  raw.send("ok");
  EXPECT_THAT(raw.read_to("ok"), StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(raw.ask(get_close), StartsWith("HTTP/1.1 200 OK"));
}

TEST(Server, ClosesWhenTheExpectedContinueWasNotSaid) {
  TestServer server(ignore_body);
  Raw raw(server.port);
  raw.send("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
  std::string answer = raw.read_all();
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK"));
  EXPECT_THAT(answer, HasSubstr("Connection: close"));
}

TEST(Server, StreamsWithAndWithoutALength) {
  TestServer server([](Request& request) -> Task<Response> {
    Response response;
    response.stream = std::make_shared<Pieces>(std::vector<std::string>{"abc", "defgh"});
    if (request.path == "/known") response.stream_length = 8;
    co_return response;
  });
  EXPECT_THAT(Raw(server.port).ask("GET /known HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              testing::AllOf(HasSubstr("Content-Length: 8\r\n"), EndsWith("\r\n\r\nabcdefgh")));
  EXPECT_THAT(Raw(server.port).ask(get_close),
              testing::AllOf(HasSubstr("Transfer-Encoding: chunked\r\n"),
                             EndsWith("\r\n\r\n3\r\nabc\r\n5\r\ndefgh\r\n0\r\n\r\n")));
  EXPECT_THAT(Raw(server.port).ask("GET / HTTP/1.0\r\n\r\n"),
              testing::AllOf(HasSubstr("Connection: close\r\n"), Not(HasSubstr("chunked")),
                             EndsWith("\r\n\r\nabcdefgh")));
}

TEST(Server, BreaksOffAStreamThatFailsOrHasAnotherLength) {
  TestServer server([](Request& request) -> Task<Response> {
    Response response;
    response.stream =
        std::make_shared<Pieces>(std::vector<std::string>{"abc", request.path == "/fails" ? "!" : "d"});
    if (request.path != "/fails") response.stream_length = request.path == "/long" ? 3 : 5;
    co_return response;
  });
  std::string answer = Raw(server.port).ask("GET /fails HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, EndsWith("3\r\nabc\r\n"));  // no last chunk
  EXPECT_THAT(Raw(server.port).ask("GET /short HTTP/1.1\r\nHost: x\r\n\r\n"), EndsWith("abcd"));
  EXPECT_THAT(Raw(server.port).ask("GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              EndsWith("\r\n\r\nabc"));
}

TEST(Server, MakesAnswersOfErrors) {
  TestServer server([](Request& request) -> Task<Response> {
    co_await read_body(request, 10);
    throw Error(Code::internal, "no");
  });
  EXPECT_THAT(Raw(server.port).ask(get_close), StartsWith("HTTP/1.1 500 "));
  EXPECT_THAT(Raw(server.port).ask("GET /?a=%4 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"),
              StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(
      Raw(server.port)
          .ask("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\nConnection: close\r\n\r\n01234567890"),
      testing::AllOf(StartsWith("HTTP/1.1 413 "), HasSubstr("at most 10 bytes")));
}

TEST(Server, CallsAfterSentOnceTheAnswerIsOut) {
  std::atomic<int> calls = 0;
  TestServer server(
      [&](Request&) -> Task<Response> { co_return Response{.body = "x", .after_sent = [&] { ++calls; }}; });
  Raw(server.port).ask(get_close);
  server.stop(1s);
  EXPECT_EQ(calls, 1);
}

TEST(Server, AnswersWhatIsInFlightBeforeItStops) {
  auto go = std::make_shared<std::promise<void>>();
  std::shared_ptr<net::Event> release;
  TestServer server([&](Request&) -> Task<Response> {
    release = std::make_shared<net::Event>(co_await boost::asio::this_coro::executor);
    go->set_value();
    co_await release->wait_for(10s);
    co_return Response{.body = "late"};
  });
  Raw idle(server.port);
  Raw raw(server.port);
  raw.send(get);
  go->get_future().get();
  std::thread stopping([&] { server.stop(10s); });
  EXPECT_TRUE(idle.closed());
  server.loop.call([&] { release->notify(); });
  std::string answer = raw.read_all();
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer, EndsWith("late"));
  stopping.join();
}

TEST(Server, CutsWhatDoesNotEndInTime) {
  std::promise<void> started;
  std::atomic<bool> canceled = false;
  TestServer server([&](Request&) -> Task<Response> {
    started.set_value();
    try {
      co_await net::sleep_for(60s);
    } catch (const std::exception&) {
      canceled = true;
      throw;
    }
    co_return Response{};
  });
  Raw raw(server.port);
  raw.send(get);
  started.get_future().get();
  server.stop(20ms);
  EXPECT_TRUE(canceled);
  EXPECT_EQ(raw.read_all(), "");
}

TEST(Server, ServesUnixSocketsWithTheirMode) {
  std::filesystem::path path =
      std::filesystem::temp_directory_path() / ("http_test." + std::to_string(::getpid()) + ".sock");
  TestServer server([](Request& request) -> Task<Response> { co_return Response{.body = request.peer}; });
  for (int round = 0; round < 2; ++round) {  // the second replaces the file of the first
    server.loop.call([&] { server.server->listen_unix(path, 0600); });
    EXPECT_EQ(std::filesystem::status(path).permissions(), std::filesystem::perms(0600));
    server.loop.run([&]() -> Task<> {
      Client client(server.loop.executor(), {.host = "localhost", .unix_path = path});
      ClientResponse response = co_await client.send({});
      EXPECT_EQ(co_await response.text(), "unix");
    });
  }
  std::filesystem::remove(path);
}

TEST(Server, SaysWhyItCannotListen) {
  TestServer server(tell_target);
  auto message = [](auto attempt) -> std::string {
    try {
      attempt();
    } catch (const Error& error) {
      return error.detail();
    }
    return "";
  };
  EXPECT_THAT(message([&] { bind_tcp("127.0.0.1", server.port); }), HasSubstr("Address already in use"));
  EXPECT_THAT(message([&] { bind_tcp("not an address", 0); }), HasSubstr("Cannot listen on not an address"));
  EXPECT_THAT(message([&] { server.loop.call([&] { server.server->listen_unix("/nonexistent/x.sock"); }); }),
              HasSubstr("No such file"));
  EXPECT_THAT(message([&] { server.loop.call([&] { server.server->listen_unix(std::string(200, 'x')); }); }),
              HasSubstr("too long"));
}

}  // namespace
}  // namespace terrane::http
