#include "api/includes.h"

#include <gtest/gtest.h>

#include "api/testing_client.h"
#include "base/text.h"
#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::api {
namespace {

using http::Method;

Task<std::optional<Principal>> by_token(const std::string& token) {
  Principal principal;
  principal.id = token;
  co_return principal;
}

json::object identifier(std::string_view type, std::string_view id) { return {{"id", id}, {"type", type}}; }

/// Books by people, who have a friend each; a shelf knows its books only when it is asked.
struct Stage {
  postgres::Database database;
  Includes includes;
  http::Router router;
  TestClient client;
  std::vector<std::string> loads;  ///< what loaders and linkers were called for

  Stage(net::Executor on, const testing::TestDatabase& at)
      : database(on, at.options(1)), client(router, by_token) {
    includes.add_resource(
        "people", [this](postgres::Tx& tx, const Principal& principal, const std::vector<std::string>& ids) {
          return people(tx, principal, ids);
        });
    includes.add_resource(
        "books", [this](postgres::Tx& tx, const Principal& principal, const std::vector<std::string>& ids) {
          return books(tx, principal, ids);
        });
    includes.add_relation("books", "written_by", {"people"});
    includes.add_relation("books", "cover", {});
    includes.add_relation("people", "best_friend", {"people"});
    includes.add_relation(
        "shelves", "books", {"books"},
        [this](postgres::Tx& tx, const Principal& principal, std::span<json::object* const> shelves) {
          return link_books(tx, principal, shelves);
        });
    router.add({Method::get, "/books/:id", bind<&Stage::show>(this)});
    router.add({Method::get, "/books", bind<&Stage::list>(this)});
    router.add({Method::get, "/shelves", bind<&Stage::list_shelves>(this)});
  }

  static json::object book(const std::string& id) {
    // Odd books are of ann, even ones of bob.
    const std::string author = (id.back() - '0') % 2 ? "ann" : "bob";
    return {
        {"id", id},
        {"type", "books"},
        {"attributes", json::object{{"title", "Book " + id}, {"page-count", 7}}},
        {"relationships", json::object{{"written-by", json::object{{"data", identifier("people", author)}}},
                                       {"cover", json::object{{"data", nullptr}}}}}};
  }
  Task<std::vector<json::object>> people(postgres::Tx&, const Principal& principal,
                                         const std::vector<std::string>& ids) {
    std::string asked = "people";
    std::vector<json::object> out;
    for (const std::string& id : ids) {
      asked += " " + id;
      if (id == "bob" && principal.id == "stranger") continue;
      const std::string friend_of = id == "ann" ? "bob" : "ann";
      out.push_back(
          {{"id", id},
           {"type", "people"},
           {"attributes", json::object{{"name", id}, {"email", id + "@x"}}},
           {"relationships",
            json::object{{"best-friend", json::object{{"data", identifier("people", friend_of)}}}}}});
    }
    loads.push_back(asked);
    co_return out;
  }
  Task<std::vector<json::object>> books(postgres::Tx&, const Principal&,
                                        const std::vector<std::string>& ids) {
    std::string asked = "books";
    std::vector<json::object> out;
    for (const std::string& id : ids) {
      asked += " " + id;
      out.push_back(book(id));
    }
    loads.push_back(asked);
    co_return out;
  }
  Task<std::vector<json::object>> link_books(postgres::Tx&, const Principal&,
                                             std::span<json::object* const> shelves) {
    loads.push_back("link " + std::to_string(shelves.size()));
    for (json::object* shelf : shelves) {
      json::array data{identifier("books", "1"), identifier("books", "2")};
      (*shelf)["relationships"] = json::object{{"books", json::object{{"data", std::move(data)}}}};
    }
    // One of them it has read already.
    std::vector<json::object> read{book("1")};
    co_return read;
  }

  Task<http::Response> show(http::Request& request) {
    postgres::Tx tx = co_await database.begin();
    co_return co_await includes.answer(request, tx, 200, book(request.parameter("id")));
  }
  Task<http::Response> list(http::Request& request) {
    postgres::Tx tx = co_await database.begin();
    json::array data;
    if (!request.query.find("empty")) data = {book("1"), book("2"), book("3")};
    co_return co_await includes.answer_list(request, tx, "books", std::move(data), page(request), 3);
  }
  Task<http::Response> list_shelves(http::Request& request) {
    postgres::Tx tx = co_await database.begin();
    json::array data{identifier("shelves", "a"), identifier("shelves", "b")};
    co_return co_await includes.answer_list(request, tx, "shelves", std::move(data), page(request), 2);
  }

  Task<TestAnswer> get(std::string target, std::string as = "reader") {
    co_return co_await client.call(Method::get, std::move(target), std::string(), std::move(as));
  }
};

void run(std::function<Task<>(Stage&)> body) {
  testing::TestDatabase at;
  testing::run_task([&](net::Executor executor) -> Task<> {
    Stage stage(executor, at);
    co_await body(stage);
  });
}

/// `type/id` of everything that was included, in order.
std::string included(const TestAnswer& answer) {
  EXPECT_EQ(answer.status, 200) << answer.body;
  const json::value list = answer.at("/included");
  std::string out;
  if (!list.is_array()) return out;
  for (const json::value& item : list.as_array()) {
    if (!out.empty()) out += " ";
    out += std::string(item.at("type").as_string()) + "/" + std::string(item.at("id").as_string());
  }
  return out;
}

TEST(Includes, BringWhatIsAskedForAndNothingElse) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ(included(co_await stage.get("/books/1?include=written_by")), "people/ann");
    EXPECT_EQ(included(co_await stage.get("/books/1?include=written-by")), "people/ann");
    EXPECT_EQ(included(co_await stage.get("/books/1")), "");
    EXPECT_EQ(included(co_await stage.get("/books/1?include=")), "");
    EXPECT_EQ(included(co_await stage.get("/books/1?include=cover")), "");
  });
}

TEST(Includes, ReadEachRelationOfAListOnce) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ(included(co_await stage.get("/books?include=written_by")), "people/ann people/bob");
    EXPECT_EQ(stage.loads, (std::vector<std::string>{"people ann bob"}));
  });
}

TEST(Includes, FollowPathsWithoutRepeatingAnything) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ(included(co_await stage.get("/books/1?include=written_by.best_friend.best_friend,written_by")),
              "people/ann people/bob");
    EXPECT_EQ(stage.loads, (std::vector<std::string>{"people ann", "people bob"}));
  });
}

TEST(Includes, AskForRelationsThatResourcesDoNotCarry) {
  run([](Stage& stage) -> Task<> {
    TestAnswer answer = co_await stage.get("/shelves?include=books.written_by");
    EXPECT_EQ(included(answer), "books/1 books/2 people/ann people/bob");
    EXPECT_EQ(answer.text("/data/1/relationships/books/data/1/id"), "2");
    EXPECT_EQ(stage.loads, (std::vector<std::string>{"link 2", "books 2", "people ann bob"}));
  });
}

TEST(Includes, LeaveOutWhatMayNotBeSeen) {
  run([](Stage& stage) -> Task<> {
    EXPECT_EQ(included(co_await stage.get("/books?include=written_by", "stranger")), "people/ann");
  });
}

TEST(Includes, RefuseUnknownRelationsAlsoOfNothing) {
  run([](Stage& stage) -> Task<> {
    for (const char* bad : {"secrets", "written_by,secrets", "written_by.secrets", "cover.written_by", "."}) {
      for (const char* where : {"/books/1?include=", "/books?empty=1&include="}) {
        TestAnswer refused = co_await stage.get(std::string(where) + bad);
        EXPECT_EQ(refused.status, 400) << where << bad;
        EXPECT_NE(refused.text("/errors/0/detail").find("include parameter"), std::string::npos)
            << "clients look for the words";
      }
    }
    const std::string cut = std::string(99, 'x') + "%F0%9D%95%BF";
    TestAnswer long_one = co_await stage.get("/books/1?include=" + cut);
    EXPECT_TRUE(is_clean_utf8(long_one.body)) << "no half character is repeated";
    std::string deep = "written_by.best_friend.best_friend.best_friend";
    EXPECT_EQ((co_await stage.get("/books/1?include=" + deep)).status, 200);
    EXPECT_EQ((co_await stage.get("/books/1?include=" + deep + ".best_friend")).status, 400);
    std::string many = "/books/1?include=cover";
    for (int i = 0; i < 31; ++i) many += ",cover";
    EXPECT_EQ((co_await stage.get(many)).status, 200);
    EXPECT_EQ((co_await stage.get(many + ",cover")).status, 400);
  });
}

TEST(Includes, CutResourcesToTheFieldsAskedFor) {
  run([](Stage& stage) -> Task<> {
    TestAnswer answer =
        co_await stage.get("/books/1?include=written_by&fields[books]=page_count,cover&fields[people]=name");
    json::object attributes{{"page-count", 7}};
    json::object relationships{{"cover", json::object{{"data", nullptr}}}};
    EXPECT_EQ(answer.at("/data/attributes"), json::value(attributes));
    EXPECT_EQ(answer.at("/data/relationships"), json::value(relationships));
    EXPECT_EQ(answer.text("/data/id"), "1");
    json::object of_person{{"name", "ann"}};
    EXPECT_EQ(answer.at("/included/0/attributes"), json::value(of_person));
    TestAnswer list = co_await stage.get("/books?fields[books]=");
    EXPECT_EQ(list.at("/data/2/attributes"), json::value(json::object{}));
    EXPECT_EQ((co_await stage.get("/books?fields[planes]=wings")).text("/data/2/attributes/title"), "Book 3");
  });
}

TEST(Includes, MustBeDeclaredOnceAndCompletely) {
  Includes includes;
  auto nobody = [](postgres::Tx&, const Principal&,
                   const std::vector<std::string>&) -> Task<std::vector<json::object>> {
    co_return std::vector<json::object>();
  };
  includes.add_relation("books", "publisher", {"companies"});
  EXPECT_THROW(includes.require_complete(), Error);
  EXPECT_THROW(includes.add_relation("books", "publisher", {}), Error);
  includes.add_resource("companies", nobody);
  EXPECT_THROW(includes.add_resource("companies", nobody), Error);
  EXPECT_NO_THROW(includes.require_complete());
}

}  // namespace
}  // namespace terrane::api
