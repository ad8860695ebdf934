#include "installation/ip_ranges_api.h"

#include <gtest/gtest.h>

#include "testing/run.h"

namespace terrane::installation {
namespace {

TEST(HttpDate, IsReadAndWritten) {
  const std::string text = "Fri, 02 Mar 2018 23:42:06 GMT";
  std::optional<Time> time = parse_http_date(text);
  ASSERT_TRUE(time);
  EXPECT_EQ(iso8601(*time), "2018-03-02T23:42:06.000Z");
  EXPECT_EQ(http_date(*time), text);
  for (const char* bad : {"", "yesterday", "2018-03-02T23:42:06Z", "Fri, 02 Mar 2018 23:42:06 GMT and more"})
    EXPECT_FALSE(parse_http_date(bad)) << bad;
}

TEST(OwnAddresses, AreRanges) {
  const std::vector<std::string> addresses = own_addresses();
  ASSERT_FALSE(addresses.empty());
  for (const std::string& address : addresses) {
    EXPECT_TRUE(address.ends_with("/32") || address.ends_with("/128")) << address;
    EXPECT_FALSE(address.starts_with("169.254.") || address.starts_with("fe80:")) << address;
  }
}

TEST(IpRangesApi, AnswersOnlyWhatIsNew) {
  testing::run_task([](net::Executor) -> Task<> {
    IpRangesApi api;
    http::Router router;
    api.add_routes(router);
    auto get = [&](std::string since) -> Task<http::Response> {
      http::Request request;
      request.method = http::Method::get;
      request.path = "/api/meta/ip-ranges";
      if (!since.empty()) request.headers.set("If-Modified-Since", since);
      co_return co_await router.match(request)->handler(request);
    };
    http::Response first = co_await get("");
    EXPECT_EQ(first.status, 200);
    json::value shown = parse_json(first.body);
    for (const char* kind : {"api", "notifications", "sentinel", "vcs"})
      EXPECT_EQ(shown.at(kind), json::value_from(own_addresses())) << kind;
    const std::string modified(first.headers.find("Last-Modified").value());
    http::Response again = co_await get(modified);
    EXPECT_EQ(again.status, 304);
    EXPECT_TRUE(again.body.empty());
    EXPECT_EQ((co_await get("Fri, 02 Mar 2018 23:42:06 GMT")).status, 200);
    EXPECT_EQ((co_await get("nonsense")).status, 200);
  });
}

}  // namespace
}  // namespace terrane::installation
