#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "postgres/database.h"
#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::postgres {
namespace {

using testing::run_task;
using testing::TestDatabase;

Params values_of(std::initializer_list<std::optional<std::string>> values) {
  Params params;
  for (const auto& value : values) params.add(value);
  return params;
}

TEST(Params, TakeEachKindInItsTextForm) {
  Time time = *parse_time("2018-03-02T23:42:06.651001Z");
  Params params =
      Params::of("text", std::string("own"), 7, std::int64_t{-8}, true, false, std::nullopt,
                 std::optional<int>(), std::optional<int>(3), time, std::vector<std::string>{"a", "q\"\\"},
                 json::object{{"k", 1}}, Bytes{std::string_view("\x00\xff", 2)});
  EXPECT_EQ(params.values(),
            values_of({"text", "own", "7", "-8", "t", "f", std::nullopt, std::nullopt, "3",
                       "2018-03-02 23:42:06.651001+00", R"({"a","q\"\\"})", R"({"k":1})", "\\x00ff"})
                .values());
}

TEST(Values, OfAllKindsComeBackAsTheyWent) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options());
    constexpr Statement echo{"echo_all", R"sql(
SELECT $1::text AS text, $2::bigint AS integer, $3::boolean AS truth, $4::timestamptz AS time, $5::jsonb AS json,
       $6::bytea AS bytes,
       $7::text[] AS texts)sql"};
    std::string bytes;
    for (int i = 0; i < 256; ++i) bytes += static_cast<char>(i);
    std::string text = "quote ' \" back \\ line\n tab\t ümlaut 🌍 $1";
    std::vector<std::string> texts{"", "NULL", "null", "a,b", "{}", "\"", "\\", " blank ", "ü\n"};
    Time time = *parse_time("1999-12-31T23:59:59.999999Z");
    json::value document = {{"list", {1, 2.5, nullptr, true}}, {"text", "ü\n\""}};
    Result result = co_await database.query(echo, Params::of(text, std::numeric_limits<std::int64_t>::min(),
                                                             true, time, document, Bytes{bytes}, texts));
    Row row = *result.one();
    EXPECT_EQ(row.string("text"), text);
    EXPECT_EQ(row.integer("integer"), std::numeric_limits<std::int64_t>::min());
    EXPECT_TRUE(row.boolean("truth"));
    EXPECT_EQ(row.time("time"), time);
    EXPECT_EQ(row.json("json"), document);
    EXPECT_EQ(row.bytes("bytes"), bytes);
    EXPECT_EQ(row.strings("texts"), texts);
    EXPECT_EQ(row.opt_string("text"), text);
    EXPECT_EQ(row.opt_time("time"), time);
  });
}

TEST(Values, NullsAreNothingAndNeverAValue) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options());
    constexpr Statement echo{
        "echo_null",
        "SELECT $1::text AS text, $2::bigint AS integer, $3::boolean AS truth, $4::timestamptz AS time"};
    Result result =
        co_await database.query(echo, Params::of(std::nullopt, std::nullopt, std::nullopt, std::nullopt));
    Row row = *result.one();
    EXPECT_TRUE(row.is_null("text"));
    EXPECT_EQ(row.opt_string("text"), std::nullopt);
    EXPECT_EQ(row.opt_integer("integer"), std::nullopt);
    EXPECT_EQ(row.opt_boolean("truth"), std::nullopt);
    EXPECT_EQ(row.opt_time("time"), std::nullopt);
    try {
      row.text("text");
      ADD_FAILURE() << "NULL was read as a value";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::internal);
      EXPECT_THAT(error.context(), ::testing::HasSubstr("echo_null"));
      EXPECT_THAT(error.context(), ::testing::HasSubstr("column=text"));
    }
    EXPECT_THROW(row.text("missing"), Error);
  });
}

TEST(Values, ResultsKnowTheirSizeAndRowsOutliveThem) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options());
    constexpr Statement none{"no_rows", "SELECT 1 AS one WHERE false"};
    constexpr Statement three{"three_rows", "SELECT n FROM generate_series(1, 3) AS n"};
    Result empty = co_await database.query(none);
    EXPECT_TRUE(empty.empty());
    EXPECT_FALSE(empty.one());
    EXPECT_THROW(empty[0], Error);
    Result rows = co_await database.query(three);
    EXPECT_EQ(rows.size(), 3U);
    EXPECT_EQ(rows[2].integer("n"), 3);
    EXPECT_THROW(rows.one(), Error);
    constexpr Statement text{"a_text", "SELECT repeat('x', 100) AS text"};
    Row row = *(co_await database.query(text)).one();
    EXPECT_EQ(row.text("text"), std::string(100, 'x'));
  });
}

TEST(Values, ManyMegabytesGoBothWays) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options());
    constexpr Statement echo{"echo_text", "SELECT $1::text AS text"};
    std::string large(20 << 20, 'x');
    Result result = co_await database.query(echo, Params::of(large));
    EXPECT_TRUE(result[0].text("text") == large);
  });
}

TEST(Values, TextThatTheDatabaseCannotHoldIsRefusedAndTheConnectionLives) {
  TestDatabase base;
  run_task([&](net::Executor executor) -> Task<> {
    Database database(executor, base.options(1));
    constexpr Statement echo{"echo_bad", "SELECT $1::text AS text, pg_backend_pid() AS pid"};
    std::int64_t before = (co_await database.query(echo, Params::of("x")))[0].integer("pid");
    for (std::string bad : {std::string("a\0b", 3), std::string("\xff\xfe")}) {
      try {
        co_await database.query(echo, Params::of(bad));
        ADD_FAILURE() << "bad text was taken";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::unprocessable);
      }
    }
    EXPECT_EQ((co_await database.query(echo, Params::of("x")))[0].integer("pid"), before);
  });
}

}  // namespace
}  // namespace terrane::postgres
