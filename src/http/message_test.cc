#include "http/message.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "http/chunked.h"
#include "http/head.h"
#include "http/router.h"

namespace terrane::http {
namespace {

TEST(Headers, CompareWithoutCaseAndKeepOrder) {
  Headers headers;
  headers.add("A", "1");
  headers.add("b", "2");
  headers.add("a", "3");
  EXPECT_EQ(headers.find("a"), "1");
  headers.set("A", "4");
  EXPECT_EQ(headers.find("a"), "4");
  EXPECT_EQ(headers.all().size(), 2u);
  EXPECT_FALSE(headers.find("c"));
}

TEST(Headers, RefuseWhatWouldEndTheirLine) {
  Headers headers;
  EXPECT_THROW(headers.add("A", "x\r\nSet-Cookie: y"), Error);
  EXPECT_THROW(headers.set("A", std::string_view("x\0y", 3)), Error);
  EXPECT_THROW(headers.add("A b", "x"), Error);
  EXPECT_THROW(headers.add("", "x"), Error);
  EXPECT_TRUE(headers.all().empty());
}

TEST(Query, DecodesAndKeepsRepeatedNames) {
  Query query("a=1&page%5Bsize%5D=2&a=x+y&empty=&flag&&=v");
  EXPECT_EQ(query.find("a"), "1");
  EXPECT_EQ(query.find("page[size]"), "2");
  EXPECT_EQ(query.find("empty"), "");
  EXPECT_EQ(query.find("flag"), "");
  EXPECT_EQ(query.all().size(), 6u);
  EXPECT_EQ(query.all()[2].second, "x y");
  EXPECT_THROW(Query("a=%4"), Error);
  EXPECT_THROW(Query("a=%zz"), Error);
  EXPECT_THROW(Query("a=%00"), Error);
}

Route row(Method method, std::string pattern) { return {method, std::move(pattern), nullptr}; }

/// The pattern that serves the path and its parameters as text; empty when none does.
std::string served(const Router& router, Method method, std::string path) {
  Request request;
  request.method = method;
  request.path = std::move(path);
  const Route* route = router.match(request);
  if (!route) return "";
  std::string result = std::string(name(route->method)) + " " + route->pattern;
  for (const auto& [key, value] : request.parameters) result += " " + key + "=" + value;
  return result;
}

TEST(Router, MatchesLiteralsBeforeParameters) {
  Router router;
  router.add(row(Method::get, "/runs/:id"));
  router.add(row(Method::get, "/runs/queue"));
  router.add(row(Method::post, "/runs/:id/actions/apply"));
  router.add(row(Method::get, "/runs/queue/:place"));
  router.add(row(Method::get, "/runs/:id/plan"));
  router.add(row(Method::get, "/assets/*file"));
  router.add(row(Method::get, "/"));
  EXPECT_EQ(served(router, Method::get, "/runs/run-1"), "GET /runs/:id id=run-1");
  EXPECT_EQ(served(router, Method::get, "/runs/queue"), "GET /runs/queue");
  EXPECT_EQ(served(router, Method::head, "/runs/queue"), "GET /runs/queue");
  EXPECT_EQ(served(router, Method::post, "/runs/queue/actions/apply"),
            "POST /runs/:id/actions/apply id=queue");
  EXPECT_EQ(served(router, Method::get, "/runs/queue/plan"), "GET /runs/queue/:place place=plan");
  EXPECT_EQ(served(router, Method::get, "/runs/a%2Fb%20c"), "GET /runs/:id id=a/b c");
  EXPECT_EQ(served(router, Method::get, "/assets/js/a.js"), "GET /assets/*file file=js/a.js");
  EXPECT_EQ(served(router, Method::get, "/"), "GET /");
}

TEST(Router, MatchesNothingElse) {
  Router router;
  router.add(row(Method::get, "/runs/:id"));
  router.add(row(Method::get, "/assets/*file"));
  for (const char* path : {"/runs", "/runs/", "/runs/a/", "//runs/a", "/runs/%zz", "/runs/%00", "runs/a", "*",
                           "", "/assets", "/assets/../etc", "/assets/a/%2e%2e/b"}) {
    EXPECT_EQ(served(router, Method::get, path), "") << path;
  }
  EXPECT_EQ(served(router, Method::put, "/runs/a"), "");
}

TEST(Router, RefusesTheSameRowTwice) {
  Router router;
  router.add(row(Method::get, "/a/:b"));
  EXPECT_THROW(router.add(row(Method::get, "/a/:c")), Error);
  EXPECT_THROW(router.add(row(Method::get, "/a/*b/c")), Error);
  EXPECT_NO_THROW(router.add(row(Method::put, "/a/:b")));
}

TEST(Request, ParameterThatThePatternLacksIsADefect) {
  Request request;
  request.parameters.emplace_back("id", "x");
  EXPECT_EQ(request.parameter("id"), "x");
  EXPECT_THROW(request.parameter("name"), Error);
}

/// Decodes `text` given in steps of `step` bytes into a room of `room` bytes; "!" when it is refused, "…"
/// when it has not ended.
std::string decoded(std::string_view text, std::size_t step, std::size_t room) {
  ChunkDecoder decoder;
  std::string result;
  std::string waiting;
  std::vector<char> out(room);
  try {
    while (!decoder.done() && (!text.empty() || !waiting.empty())) {
      waiting += text.substr(0, step);
      text.remove_prefix(std::min(step, text.size()));
      ChunkDecoder::Step done = decoder.decode(waiting, out);
      result.append(out.data(), done.produced);
      waiting.erase(0, done.consumed);
      if (done.consumed == 0 && text.empty()) break;
    }
  } catch (const Error&) {
    return "!";
  }
  return decoder.done() ? result + "|" + waiting + std::string(text) : result + "…";
}

TEST(ChunkDecoder, DecodesInPiecesOfAnySize) {
  std::string_view text = "5\r\nhello\r\n6;ext=\"1\"\r\n world\r\n000\r\nTrailer: x\r\n\r\nGET";
  for (std::size_t step : {1u, 2u, 3u, 7u, 100u}) {
    for (std::size_t room : {1u, 4u, 100u})
      EXPECT_EQ(decoded(text, step, room), "hello world|GET") << step << " " << room;
  }
  EXPECT_EQ(decoded("0\r\n\r\n", 1, 1), "|");
  EXPECT_EQ(decoded("A\r\n0123456789\r\n", 3, 4), "0123456789…");
}

TEST(ChunkDecoder, RefusesWhatIsNotStrictlyChunked) {
  for (const char* text : {"x\r\n", "\r\n", "-1\r\na", "5\nhello\r\n", "5\r\nhelloX\r\n", "5\r\nhello\n",
                           "ffffffffffffffffff\r\n", "0x5\r\nhello", "5;\x01\r\nhello", "0\r\n\n",
                           "0\r\n folded\r\n\r\n", "5\r\rhello", " 5\r\nhello"}) {
    EXPECT_EQ(decoded(text, 100, 100), "!") << text;
  }
  EXPECT_EQ(decoded("5;" + std::string(9000, 'x'), 1000, 10), "!");
  EXPECT_EQ(decoded("0\r\n" + std::string(9000, 'x'), 1000, 10), "!");
}

std::string shape(std::string_view text) {
  RequestHead head;
  std::optional<Refusal> refusal = parse_request(text, head);
  if (refusal) return std::to_string(refusal->status);
  std::string result = std::string(name(head.method)) + " " + head.target;
  switch (head.framing) {
    case Framing::none: break;
    case Framing::length: result += " " + std::to_string(*head.length); break;
    case Framing::chunked: result += " chunked"; break;
    case Framing::to_end: result += " to_end"; break;
  }
  return result + (head.keep_alive ? " keep" : " close");
}

TEST(ParseRequest, UnderstandsOrdinaryShapes) {
  EXPECT_EQ(shape("GET /a?b=c HTTP/1.1\r\nHost: x\r\n\r\n"), "GET /a?b=c keep");
  EXPECT_EQ(shape("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 12\r\nConnection: close\r\n\r\n"),
            "POST / 12 close");
  EXPECT_EQ(shape("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: Chunked\r\n\r\n"), "PUT / chunked keep");
  EXPECT_EQ(shape("GET / HTTP/1.0\r\n\r\n"), "GET / close");
  EXPECT_EQ(shape("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), "GET / keep");
  EXPECT_EQ(shape("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n"), "OPTIONS * keep");
  EXPECT_EQ(shape("GET http://x:1/p?q HTTP/1.1\r\nHost: x\r\n\r\n"), "GET /p?q keep");
  EXPECT_EQ(shape("GET http://x HTTP/1.1\r\nHost: x\r\n\r\n"), "GET / keep");
}

TEST(ParseRequest, RefusesWhatTwoServersCouldReadDifferently) {
  for (const char* fields : {"Content-Length: 5\r\nTransfer-Encoding: chunked",
                             "Transfer-Encoding: chunked\r\nContent-Length: 5",
                             "Content-Length: 5\r\nContent-Length: 5",
                             "Content-Length: 5\r\nContent-Length: 6",
                             "Content-Length: 5, 5",
                             "Content-Length: +5",
                             "Content-Length: -1",
                             "Content-Length: 0x5",
                             "Content-Length: 5 5",
                             "Content-Length:",
                             "Content-Length: 99999999999999999999",
                             "Transfer-Encoding: gzip",
                             "Transfer-Encoding: gzip, chunked",
                             "Transfer-Encoding: chunked, identity",
                             "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                             "Transfer-Encoding: xchunked",
                             "Transfer-Encoding : chunked",
                             "Content-Length : 5",
                             "Host: y",
                             " folded: x\r\nA: b",
                             "A\x01: b",
                             "A: \x01",
                             ": b",
                             "A b: c"}) {
    EXPECT_EQ(shape("POST / HTTP/1.1\r\nHost: x\r\n" + std::string(fields) + "\r\n\r\n"), "400") << fields;
  }
  EXPECT_EQ(shape("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), "400");
}

TEST(ParseRequest, RefusesWhatIsNoRequest) {
  for (const char* text : {"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/2.0\r\nHost: x\r\n\r\n",
                           "GET  / HTTP/1.1\r\nHost: x\r\n\r\n", "GET / HTTP/1.1\nHost: x\r\n\r\n",
                           "GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", "GET a HTTP/1.1\r\nHost: x\r\n\r\n",
                           "GET /\r\n\r\n", "\r\n\r\n", "GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n"}) {
    EXPECT_EQ(shape(text), "400") << text;
  }
  EXPECT_EQ(shape("BREW / HTTP/1.1\r\nHost: x\r\n\r\n"), "501");
  EXPECT_EQ(shape("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n"), "501");
  EXPECT_EQ(shape("POST / HTTP/1.1\r\nHost: x\r\nExpect: a-miracle\r\nContent-Length: 1\r\n\r\n"), "417");
}

TEST(HeadSize, FindsTheEmptyLineAcrossPieces) {
  std::string_view text = "GET / HTTP/1.1\r\nA: b\r\n\r\nrest";
  EXPECT_EQ(head_size(text, 0), 24u);
  EXPECT_EQ(head_size(text.substr(0, 23), 0), 0u);
  EXPECT_EQ(head_size(text, 23), 24u);
  EXPECT_EQ(head_size(text, 20), 24u);
}

}  // namespace
}  // namespace terrane::http
