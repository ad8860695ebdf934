#include <gtest/gtest.h>

#include "archivist/archivist_fixture.h"

namespace terrane::archivist {
namespace {

using fixture::Process;
using fixture::Stores;
using object::Access;
using testing::run_task;

TEST(Sweep, RemovesWhatIsDeletedForLongAndNothingElse) {
  Stores stores;
  Id<Object> live = stores.add("state"), fresh = stores.add("state"), old = stores.add("state"),
             log = stores.add("log");
  Id<Object> stuck = stores.add("configuration"), waiting = stores.add("configuration"),
             running = stores.add("log");
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    for (const Id<Object>& id : {live, fresh, old})
      co_await process.put(stores.url(Access::write, id), "text");
    for (const Id<Object>& id : {log, running}) {
      co_await process.client.append_text(id, "ws-1", 1, "one");
      co_await process.client.append_text(id, "ws-1", 2, "two");
    }
    EXPECT_EQ(stores.blob_count(), 9U);
    stores.set(fresh, "status = 'deleted', deleted_at = now() - interval '59 minutes'");
    stores.set(old, "status = 'deleted', deleted_at = now() - interval '61 minutes'");
    stores.set(log, "status = 'deleted', deleted_at = now() - interval '61 minutes'");
    stores.set(stuck, "created_at = now() - interval '49 hours'");
    stores.set(waiting, "created_at = now() - interval '47 hours'");
    stores.set(running, "created_at = now() - interval '49 hours'");
    co_await process.archivist.sweep();
    EXPECT_EQ(stores.blob_count(), 5U);
    EXPECT_EQ((co_await process.get(stores.url(Access::read, live))).body, "text");
    EXPECT_EQ((co_await process.get(stores.url(Access::log, running))).body, "onetwo");
    EXPECT_EQ((co_await process.put(stores.url(Access::write, stuck), "text")).status, 404);
    EXPECT_EQ((co_await process.put(stores.url(Access::write, waiting), "text")).status, 200);

    // What has been swept is not looked at again.
    co_await process.archivist.sweep();
    postgres::Result swept = co_await process.database.query(
        {"test_swept", "SELECT id FROM terrane.objects WHERE swept_at IS NOT NULL"});
    EXPECT_EQ(swept.size(), 2U);
    stores.set(fresh, "deleted_at = now() - interval '61 minutes'");
    co_await process.archivist.sweep();
    EXPECT_EQ(stores.blob_count(), 5U) << "live, the running log with its list, and what was waiting";

    net::Stop stop(executor);
    stop.request();
    co_await process.archivist.run_sweeper(stop);
    co_await process.stop();
  });
}

}  // namespace
}  // namespace terrane::archivist
