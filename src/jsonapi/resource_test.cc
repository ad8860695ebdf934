#include "jsonapi/resource.h"

#include <gtest/gtest.h>

#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::jsonapi {
namespace {

struct Owner {};

/// A thing with one member of each type that a resource may have.
struct Thing {
  Id<Owner> owner{"own-1"};
  std::optional<Id<Owner>> friend_;
  std::string name = "unset";
  bool flag = true;
  std::int64_t count = 7;
  Time made_at{};
  std::vector<std::string> tags;
  json::value anything;
  std::optional<std::string> note;
  std::optional<std::int64_t> limit;
  std::optional<bool> maybe;
  std::optional<Time> ended_at;
  std::string secret = "hush";
};

std::optional<std::string> no_zero(const json::value& given) {
  if (given == json::value(0)) return "must not be 0";
  return std::nullopt;
}

const Resource& table() {
  constexpr unsigned settable = create | update;
  static const std::array attributes{
      attr<&Thing::name>("name", "name", settable, valid_name),
      attr<&Thing::flag>("flag", "flag", settable),
      attr<&Thing::count>("how-many", "how_many", create, no_zero),
      attr<&Thing::made_at>("made-at", "made_at"),
      attr<&Thing::tags>("tags", "tags", settable),
      attr<&Thing::anything>("anything", "anything", settable),
      attr<&Thing::note>("note", "note", update),
      attr<&Thing::limit>("limit", "max", settable),
      attr<&Thing::maybe>("maybe", "maybe", settable),
      attr<&Thing::ended_at>("ended-at", "ended_at", settable),
      attr<&Thing::secret>("secret", "secret", hidden),
  };
  static const std::array relations{
      rel<&Thing::owner>("owner", "owners", "owner_id"),
      rel<&Thing::friend_>("friend", "owners", "friend_id"),
  };
  static const Resource resource{"things", attributes, relations};
  return resource;
}

json::object data_with(json::object attributes) { return {{"attributes", std::move(attributes)}}; }

std::vector<Problem> problems_of(json::object attributes, Flag when) {
  Thing thing;
  json::object data = data_with(std::move(attributes));
  try {
    decode(table(), data, when, &thing);
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::unprocessable);
    return error.problems();
  }
  return {};
}

TEST(Resource, EncodesByTheTable) {
  Thing thing;
  thing.tags = {"a", "b"};
  thing.limit = 3;
  json::value expected = parse_json(R"({
    "id": "thing-1", "type": "things",
    "attributes": {"name": "unset", "flag": true, "how-many": 7, "made-at": "1970-01-01T00:00:00.000Z", "tags": ["a", "b"],
                   "anything": null, "note": null, "limit": 3, "maybe": null, "ended-at": null},
    "relationships": {"owner": {"data": {"id": "own-1", "type": "owners"}}, "friend": {"data": null}}})");
  EXPECT_EQ(json::value(encode(table(), &thing, "thing-1")), expected);
}

TEST(Resource, DecodesWhatMayBeGivenNow) {
  Thing thing;
  json::object data = data_with({{"name", "n"},
                                 {"how-many", 5},
                                 {"note", "only in updates"},
                                 {"made-at", "2020-01-01T00:00:00Z"},
                                 {"secret", "mine"},
                                 {"unheard-of", 1},
                                 {"tags", json::array{"x"}},
                                 {"ended-at", "2018-03-02T23:42:06+02:00"}});
  json::object columns = decode(table(), data, create, &thing);
  EXPECT_EQ(thing.name, "n");
  EXPECT_EQ(thing.count, 5);
  EXPECT_EQ(thing.tags, std::vector<std::string>{"x"});
  EXPECT_EQ(thing.secret, "hush") << "hidden ones are never given";
  EXPECT_FALSE(thing.note);
  EXPECT_EQ(thing.made_at, Time{}) << "read only";
  EXPECT_EQ(iso8601(*thing.ended_at), "2018-03-02T21:42:06.000Z");
  json::value expected =
      parse_json(R"({"name": "n", "how_many": 5, "tags": ["x"], "ended_at": "2018-03-02T21:42:06.000Z"})");
  EXPECT_EQ(json::value(columns), expected) << "named by column";

  json::object later = data_with({{"how-many", 9}, {"note", "n"}, {"limit", nullptr}});
  json::value changed = parse_json(R"({"note": "n", "max": null})");
  EXPECT_EQ(json::value(decode(table(), later, update, &thing)), changed);
  EXPECT_EQ(thing.count, 5);
}

TEST(Resource, NothingGivenChangesNothing) {
  Thing thing;
  for (json::object data : {json::object{}, json::object{{"attributes", nullptr}}, data_with({})}) {
    EXPECT_TRUE(decode(table(), data, update, &thing).empty());
  }
  EXPECT_EQ(thing.name, "unset");
}

TEST(Resource, NamesEveryBadValueAtOnce) {
  std::vector<Problem> problems = problems_of({{"name", 5},
                                               {"flag", "true"},
                                               {"how-many", 0},
                                               {"tags", json::array{1}},
                                               {"limit", 1.5},
                                               {"ended-at", "soon"},
                                               {"maybe", false}},
                                              create);
  ASSERT_EQ(problems.size(), 6U);
  std::vector<std::pair<std::string, std::string>> expected{
      {"/data/attributes/name", "name must be a string"},
      {"/data/attributes/flag", "flag must be true or false"},
      {"/data/attributes/how-many", "must not be 0"},
      {"/data/attributes/tags", "tags must be a list of strings"},
      {"/data/attributes/limit", "limit must be a whole number"},
      {"/data/attributes/ended-at", "ended-at must be a time such as 2018-03-02T23:42:06Z"}};
  for (std::size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(problems[i].pointer, expected[i].first);
    EXPECT_EQ(problems[i].detail, expected[i].second);
  }
}

TEST(Resource, RefusesTextThatPostgresqlCannotHold) {
  const std::string nul("a\0b", 3);
  for (json::object attributes :
       {json::object{{"name", nul}}, json::object{{"tags", json::array{"fine", nul}}},
        json::object{{"anything", json::object{{"deep", json::array{nul}}}}},
        json::object{{"anything", json::object{{nul, 1}}}}}) {
    std::string shown = json::serialize(attributes);
    EXPECT_EQ(problems_of(std::move(attributes), update).size(), 1U) << shown;
  }
}

TEST(Resource, NumbersHaveTheirLimits) {
  EXPECT_TRUE(problems_of({{"limit", std::numeric_limits<std::int64_t>::max()}}, create).empty());
  EXPECT_EQ(problems_of({{"limit", std::numeric_limits<std::uint64_t>::max()}}, create).size(), 1U);
  EXPECT_EQ(problems_of({{"limit", "1"}}, create).size(), 1U);
}

TEST(Resource, ReadsARowOfItsTable) {
  testing::TestDatabase at;
  testing::run_task([&](net::Executor executor) -> Task<> {
    postgres::Database database(executor, at.options());
    constexpr Statement all{
        "test_all",
        "SELECT 'own-2' AS owner_id, NULL AS friend_id, 'n' AS name, false AS flag, 12::bigint AS how_many,"
        " timestamptz '2018-03-02 23:42:06.651+00' AS made_at, ARRAY['a b', 'c\"d'] AS tags, '{\"k\": "
        "[1]}'::jsonb AS anything,"
        " NULL AS note, 4::bigint AS max, true AS maybe, NULL::timestamptz AS ended_at, 's' AS secret"};
    postgres::Result result = co_await database.query(all);
    Thing thing = from_row<Thing>(table(), result[0]);
    EXPECT_EQ(thing.owner.text(), "own-2");
    EXPECT_FALSE(thing.friend_);
    EXPECT_FALSE(thing.flag);
    EXPECT_EQ(thing.count, 12);
    EXPECT_EQ(iso8601(thing.made_at), "2018-03-02T23:42:06.651Z");
    EXPECT_EQ(thing.tags, (std::vector<std::string>{"a b", "c\"d"}));
    EXPECT_EQ(thing.anything, parse_json(R"({"k": [1]})"));
    EXPECT_FALSE(thing.note);
    EXPECT_EQ(thing.limit, 4);
    EXPECT_EQ(thing.maybe, true);
    EXPECT_EQ(thing.secret, "s");
  });
}

std::optional<Error> refusal_of(std::function<void()> call) {
  try {
    call();
  } catch (const Error& error) {
    return error;
  }
  return std::nullopt;
}

TEST(Documents, TakeOnlyResourceObjects) {
  EXPECT_TRUE(parse_data(R"({"data": {"type": "things"}})", "things").contains("type"));
  EXPECT_TRUE(parse_data(R"({"data": {"type": "", "attributes": null}})", "things").contains("type"))
      << "as go-tfe sends it";
  EXPECT_TRUE(parse_data(R"({"data": {"type": "others"}})", "").contains("type"));
  EXPECT_TRUE(parse_data(R"({"data": {}})", "things").empty());
  EXPECT_EQ(refusal_of([] { parse_data("{", "things"); })->code(), Code::invalid);
  EXPECT_EQ(refusal_of([] { parse_data("", "things"); })->code(), Code::invalid);
  std::map<std::string, std::string> bad{{"[]", "/data"},
                                         {"5", "/data"},
                                         {R"({"data": []})", "/data"},
                                         {R"({"data": null})", "/data"},
                                         {R"({"data": {"type": "others"}})", "/data/type"},
                                         {R"({"data": {"attributes": []}})", "/data/attributes"},
                                         {R"({"data": {"relationships": "x"}})", "/data/relationships"}};
  for (const auto& [text, pointer] : bad) {
    std::optional<Error> refusal = refusal_of([&] { parse_data(text, "things"); });
    ASSERT_TRUE(refusal) << text;
    EXPECT_EQ(refusal->code(), Code::unprocessable) << text;
    EXPECT_EQ(refusal->problems()[0].pointer, pointer) << text;
  }
}

TEST(Documents, ReadOneRelatedId) {
  auto read = [](const char* text) {
    json::value value = parse_json(text);
    return related_id(value.as_object(), "owner");
  };
  EXPECT_EQ(read(R"({"relationships": {"owner": {"data": {"id": "own-1", "type": "owners"}}}})"), "own-1");
  for (const char* absent :
       {"{}", R"({"relationships": null})", R"({"relationships": {}})",
        R"({"relationships": {"owner": null}})", R"({"relationships": {"owner": {"data": null}}})"}) {
    EXPECT_EQ(read(absent), std::nullopt) << absent;
  }
  for (const char* bad : {R"({"relationships": {"owner": "own-1"}})", R"({"relationships": {"owner": {}}})",
                          R"({"relationships": {"owner": {"data": []}}})",
                          R"({"relationships": {"owner": {"data": {"id": 5}}}})",
                          "{\"relationships\": {\"owner\": {\"data\": {\"id\": \"a\\u0000\"}}}}"}) {
    std::optional<Error> refusal = refusal_of([&] { read(bad); });
    ASSERT_TRUE(refusal) << bad;
    EXPECT_TRUE(refusal->problems()[0].pointer.starts_with("/data/relationships/owner")) << bad;
  }
}

TEST(Documents, ReadManyRelatedIds) {
  auto read = [](const char* text) {
    json::value value = parse_json(text);
    return related_ids(value.as_object(), "owners", 2);
  };
  using Ids = std::vector<std::string>;
  EXPECT_EQ(read(R"({"relationships": {"owners": {"data": [{"id": "b"}, {"id": "a"}]}}})"), (Ids{"b", "a"}));
  EXPECT_EQ(read(R"({"relationships": {"owners": {"data": [{"id": "b"}, {"id": "b"}]}}})"), Ids{"b"});
  EXPECT_EQ(read(R"({"relationships": {"owners": {"data": []}}})"), Ids{});
  EXPECT_EQ(read(R"({"relationships": {}})"), std::nullopt);
  EXPECT_EQ(read("{}"), std::nullopt);
  for (const char* bad :
       {R"({"relationships": {"owners": null}})", R"({"relationships": {"owners": {}}})",
        R"({"relationships": {"owners": {"data": null}}})", R"({"relationships": {"owners": {"data": [5]}}})",
        R"({"relationships": {"owners": {"data": [{"id": 5}]}}})",
        R"({"relationships": {"owners": {"data": [{"id":"a"},{"id":"b"},{"id":"c"}]}}})",
        "{\"relationships\": {\"owners\": {\"data\": [{\"id\": \"a\\u0000\"}]}}}"}) {
    std::optional<Error> refusal = refusal_of([&] { read(bad); });
    ASSERT_TRUE(refusal) << bad;
    EXPECT_TRUE(refusal->problems()[0].pointer.starts_with("/data/relationships/owners")) << bad;
  }
  EXPECT_EQ(linkage("owners", Ids{"a"}), parse_json(R"({"data": [{"id": "a", "type": "owners"}]})"));
  EXPECT_EQ(linkage("owners", Ids{}), parse_json(R"({"data": []})"));
}

TEST(Documents, SayWhereAPageStands) {
  json::object first = list_document(json::array{1, 2}, Page{1, 2}, 5, "/p");
  EXPECT_EQ(first["meta"], parse_json(R"({"pagination": {"current-page": 1, "page-size": 2, "prev-page": null,
      "next-page": 2, "total-pages": 3, "total-count": 5}})"));
  EXPECT_EQ(
      first["links"],
      parse_json(
          R"({"self": "/p?page%5Bnumber%5D=1&page%5Bsize%5D=2", "first": "/p?page%5Bnumber%5D=1&page%5Bsize%5D=2",
      "prev": null, "next": "/p?page%5Bnumber%5D=2&page%5Bsize%5D=2", "last": "/p?page%5Bnumber%5D=3&page%5Bsize%5D=2"})"));
  json::value last = list_document({}, Page{3, 2}, 5, "/p");
  EXPECT_TRUE(last.at_pointer("/meta/pagination/next-page").is_null());
  EXPECT_EQ(last.at_pointer("/meta/pagination/prev-page"), json::value(2));

  json::value beyond = list_document({}, Page{999, 20}, 5, "/p");
  EXPECT_EQ(beyond.at_pointer("/meta/pagination/current-page"), json::value(999)) << "the number is echoed";
  EXPECT_EQ(beyond.at_pointer("/meta/pagination/total-count"), json::value(5));
  EXPECT_TRUE(beyond.at_pointer("/meta/pagination/next-page").is_null());
  json::value none = list_document({}, Page{}, 0, "/p");
  EXPECT_EQ(none.at_pointer("/meta/pagination/total-pages"), json::value(1));
}

TEST(Documents, SliceGivesThePageOfAWholeList) {
  json::array all{1, 2, 3, 4, 5};
  EXPECT_EQ(slice(all, Page{1, 2}), (json::array{1, 2}));
  EXPECT_EQ(slice(all, Page{3, 2}), (json::array{5}));
  EXPECT_TRUE(slice(all, Page{4, 2}).empty());
  EXPECT_TRUE(slice(all, Page{1'000'000'000, 100}).empty());
  EXPECT_TRUE(slice({}, Page{}).empty());
}

TEST(Checks, KnowNames) {
  for (const char* good : {"a", "A-b_9", "0"}) EXPECT_FALSE(valid_name(good)) << good;
  for (const char* bad : {"", "  ", "a b", "a/b", "ä", "a.b", "a\n"}) EXPECT_TRUE(valid_name(bad)) << bad;
  EXPECT_FALSE(valid_name(json::value(std::string(90, 'a'))));
  EXPECT_TRUE(valid_name(json::value(std::string(91, 'a'))));
  EXPECT_FALSE(valid_name(json::value(5))) << "the type is judged elsewhere";
}

}  // namespace
}  // namespace terrane::jsonapi
