// What lies in the store, for who has no rows any more.
#include <fstream>
#include <gtest/gtest.h>

#include "archivist/archivist_fixture.h"

namespace terrane::archivist {
namespace {

using fixture::Process;
using fixture::Stores;
using object::Access;
using testing::run_task;

Task<std::optional<Code>> failure_of_look(Process& process, Id<Object> object) {
  try {
    co_await process.client.look_at_stored("state", object);
  } catch (const Error& error) {
    co_return error.code();
  }
  co_return std::nullopt;
}

TEST(Inventory, TellsWhatAnObjectIsWithoutItsRow) {
  Stores stores;
  Id<Object> state = stores.add("state"), damaged = stores.add("state"), plan = stores.add("plan");
  stores.set(state, R"(facts = '{"serial": "7", "lineage": "line", "md5": "announced", "run": "run-1"}')");
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    const std::string text = fixture::sample(200'000);
    for (const Id<Object>& id : {state, damaged, plan})
      EXPECT_EQ((co_await process.put(stores.url(Access::write, id), text)).status, 200);
    stores.database.run("DELETE FROM objects");

    object::ArchivistClient::StoredPage page = co_await process.client.stored("state", "");
    EXPECT_EQ(std::set<std::string>(page.objects.begin(), page.objects.end()),
              (std::set<std::string>{state.text(), damaged.text()}));
    EXPECT_EQ(page.next, "");
    object::ArchivistClient::StoredObject found = co_await process.client.look_at_stored("state", state);
    EXPECT_EQ(found.workspace, "ws-1");
    EXPECT_EQ(found.size, 200'000);
    EXPECT_EQ(found.md5, fixture::md5(text)) << "of the bytes, whatever was announced";
    EXPECT_TRUE(parse_time(found.facts["time"]));
    found.facts.erase("time");
    EXPECT_EQ(found.facts,
              (std::map<std::string, std::string>{
                  {"serial", "7"}, {"lineage", "line"}, {"md5", "announced"}, {"run", "run-1"}}));

    std::filesystem::path path = stores.blob_path(blob::object_name("state", damaged.text()));
    std::filesystem::permissions(path, std::filesystem::perms(0600));
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(150'000);
    file.put('!').flush();
    EXPECT_EQ(co_await failure_of_look(process, damaged), Code::internal) << "it is opened to its end";
    EXPECT_EQ(co_await failure_of_look(process, plan), Code::not_found) << "it is of another kind";
    EXPECT_EQ((co_await process.get("/internal/v1/stored/a%20b")).status, 400);
    co_await process.stop();
  });
}

TEST(Inventory, ComesInPagesAndPassesOverWhatIsNoObject) {
  Stores stores;
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    std::set<std::string> wanted;
    for (int i = 0; i < 1203; ++i) {
      std::string id = "obj-" + std::to_string(i);
      std::filesystem::path path = stores.blob_path(blob::object_name("state", id));
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path) << "x";
      wanted.insert(std::move(id));
    }
    std::ofstream(stores.blob_path("state/foreign")) << "x";
    std::ofstream(stores.blob_path("state/a name")) << "x";
    std::set<std::string> seen;
    object::ArchivistClient::StoredPage page;
    int pages = 0;
    do {
      page = co_await process.client.stored("state", page.next);
      EXPECT_LE(page.objects.size(), 500U);
      seen.insert(page.objects.begin(), page.objects.end());
      ++pages;
    } while (!page.next.empty());
    EXPECT_EQ(seen, wanted);
    EXPECT_EQ(pages, 3);
    co_await process.stop();
  });
}

}  // namespace
}  // namespace terrane::archivist
