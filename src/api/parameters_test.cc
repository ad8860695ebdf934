#include "api/parameters.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace terrane::api {
namespace {

http::Request request(std::string_view query) {
  http::Request out;
  out.query = http::Query(query);
  return out;
}

/// The detail of the refusal; empty when there was none.
template <class Read>
std::string refusal(Read read) {
  try {
    read();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::invalid);
    return error.detail();
  }
  return "";
}

TEST(Parameters, TextIsAbsentOrBounded) {
  EXPECT_EQ(text_parameter(request("q=one"), "q"), "one");
  EXPECT_EQ(text_parameter(request("q="), "q"), std::nullopt);
  EXPECT_EQ(text_parameter(request("other=one"), "q"), std::nullopt);
  const http::Request most = request("q=" + std::string(1024, 'x'));
  EXPECT_EQ(text_parameter(most, "q").value().size(), 1024U);
  const http::Request more = request("q=" + std::string(1025, 'x'));
  EXPECT_EQ(refusal([&] { text_parameter(more, "q"); }), "The parameter q may have at most 1024 bytes.");
  const http::Request dirty = request("q=a%ff");
  EXPECT_EQ(refusal([&] { text_parameter(dirty, "q"); }), "The parameter q must be UTF-8 text.");
}

TEST(Parameters, TruthIsTrueOrFalse) {
  EXPECT_EQ(bool_parameter(request("x=true"), "x"), true);
  EXPECT_EQ(bool_parameter(request("x=0"), "x"), false);
  EXPECT_EQ(bool_parameter(request(""), "x"), std::nullopt);
  EXPECT_EQ(refusal([] { bool_parameter(request("x=maybe"), "x"); }),
            "The parameter x must be true or false.");
}

TEST(Parameters, ListsAreSplitAndBounded) {
  EXPECT_EQ(list_parameter(request("filter[names]=a,%20b,,c"), "filter[names]"),
            (std::vector<std::string>{"a", "b", "c"}));
  EXPECT_TRUE(list_parameter(request("filter[names]=,"), "filter[names]").empty());
  EXPECT_EQ(opt_list_parameter(request(""), "filter[names]"), std::nullopt);
  std::string many = "n=1";
  for (int i = 0; i < 99; ++i) many += ",1";
  EXPECT_EQ(list_parameter(request(many), "n").size(), 100U);
  EXPECT_EQ(refusal([&] { list_parameter(request(many + ",1"), "n"); }),
            "The parameter n may hold at most 100 values.");
}

TEST(Parameters, OrderIsOneOfTheKnown) {
  const Sort usual{"name", false};
  auto order = [&](std::string_view query) {
    Sort found = sort(request(query), {"name", "created-at"}, usual);
    return (found.descending ? "-" : "") + found.key;
  };
  EXPECT_EQ(order(""), "name");
  EXPECT_EQ(order("sort=-name"), "-name");
  EXPECT_EQ(order("sort=created-at"), "created-at");
  EXPECT_EQ(refusal([&] { order("sort=size"); }),
            "The parameter sort must be one of these, or one with - before it: name created-at.");
}

TEST(Parameters, TagFiltersBelongTogetherByTheirIndex) {
  std::vector<TagFilter> found = tag_filters(
      request("filter[tagged][0][key]=env&filter[tagged][1][value]=x&filter[tagged][1][key]=team"));
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].key, "env");
  EXPECT_EQ(found[0].value, std::nullopt);
  EXPECT_EQ(found[1].key, "team");
  EXPECT_EQ(found[1].value, "x");
  EXPECT_TRUE(tag_filters(request("filter[tagged]=x&filter[tagged][0][colour]=x")).empty());
  EXPECT_EQ(refusal([] { tag_filters(request("filter[tagged][7][value]=x")); }),
            "The parameter filter[tagged][7] must have a key.");
  std::string many;
  for (int i = 0; i < 21; ++i) many += "&filter[tagged][" + std::to_string(i) + "][key]=k";
  EXPECT_EQ(refusal([&] { tag_filters(request(many)); }),
            "The parameter filter[tagged] may be given at most 20 times.");
}

}  // namespace
}  // namespace terrane::api
