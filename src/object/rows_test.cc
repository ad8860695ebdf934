#include <gtest/gtest.h>

#include "object/archivist_client.h"
#include "object/fake_archivist.h"
#include "testing/child.h"
#include "testing/run.h"
#include "testing/test_database.h"

namespace terrane::object {
namespace {

using testing::TestDatabase;

constexpr const char* rows = R"sql(
  INSERT INTO terrane.organizations (id, name, email) VALUES ('org-1', 'acme', 'a@x');
  INSERT INTO terrane.projects (id, organization_id, name) VALUES ('prj-1', 'org-1', 'p');
  INSERT INTO terrane.workspaces (id, organization_id, project_id, name) VALUES ('ws-1', 'org-1', 'prj-1', 'one'), ('ws-2', 'org-1', 'prj-1', 'two');
)sql";

void run(std::function<Task<>(net::Executor, postgres::Database&)> body) {
  TestDatabase at(TestDatabase::Content::migrated);
  at.run(rows);
  testing::run_task([&](net::Executor executor) -> Task<> {
    postgres::Database database(executor, at.options());
    co_await body(executor, database);
  });
}

Code code_of(std::exception_ptr failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    return error.code();
  }
}

template <class T>
Task<std::optional<Code>> failure_of(Task<T> task) {
  std::exception_ptr failure;
  try {
    co_await std::move(task);
  } catch (const Error&) {
    failure = std::current_exception();
  }
  if (!failure) co_return std::nullopt;
  co_return code_of(failure);
}

TEST(ObjectRows, LiveFromInsertToDeletion) {
  run([](net::Executor, postgres::Database& database) -> Task<> {
    postgres::Tx tx = co_await database.begin();
    Id<Object> id = Id<Object>::make();
    EXPECT_FALSE(co_await find(tx, id));
    co_await insert(tx, id, "state", "ws-1");
    std::optional<Object> row = co_await find(tx, id);
    EXPECT_EQ(row->status, "uploading");
    EXPECT_EQ(row->kind, "state");
    EXPECT_EQ(row->workspace, "ws-1");
    EXPECT_FALSE(row->size);

    EXPECT_TRUE(co_await mark_live(tx, id, 12, "abc"));
    EXPECT_FALSE(co_await mark_live(tx, id, 99, "xyz")) << "bytes are immutable";
    row = co_await find(tx, id);
    EXPECT_EQ(row->status, "live");
    EXPECT_EQ(row->size, 12);
    EXPECT_EQ(row->md5, "abc");

    co_await mark_deleted(tx, id);
    EXPECT_FALSE(co_await mark_live(tx, id, 12, "abc")) << "a late upload does not bring it back";
    EXPECT_EQ((co_await find(tx, id))->status, "deleted");
  });
}

TEST(ObjectRows, BackingDataIsHiddenBroughtBackAndDeletedForGood) {
  run([](net::Executor, postgres::Database& database) -> Task<> {
    constexpr Statement hidden{"test_hidden",
                               "SELECT count(*) AS n FROM terrane.objects WHERE hidden_at IS NOT NULL"};
    postgres::Tx tx = co_await database.begin();
    Id<Object> main = Id<Object>::make(), other = Id<Object>::make();
    co_await insert(tx, main, "state", "ws-1");
    co_await insert(tx, other, "json-state", "ws-1");
    const std::vector<std::string> both{main.text(), other.text()};
    auto refused = [&](Backing action) { return failure_of(change_backing(tx, both, action)); };
    EXPECT_EQ(co_await refused(Backing::soft_delete), Code::conflict) << "nothing is there yet";
    for (const Id<Object>& id : {main, other}) co_await mark_live(tx, id, 1, "m");
    for (Backing action : {Backing::restore, Backing::permanently_delete})
      EXPECT_EQ(co_await refused(action), Code::conflict) << "it is not soft deleted";

    co_await change_backing(tx, both, Backing::soft_delete);
    EXPECT_EQ((co_await tx.run(hidden))[0].integer("n"), 2);
    EXPECT_EQ(co_await refused(Backing::soft_delete), Code::conflict);
    co_await change_backing(tx, both, Backing::restore);
    EXPECT_EQ((co_await tx.run(hidden))[0].integer("n"), 0);
    EXPECT_EQ((co_await find(tx, main))->status, "live");

    co_await change_backing(tx, both, Backing::soft_delete);
    co_await change_backing(tx, both, Backing::permanently_delete);
    for (const Id<Object>& id : {main, other}) EXPECT_EQ((co_await find(tx, id))->status, "deleted");
    for (Backing action : {Backing::soft_delete, Backing::restore, Backing::permanently_delete})
      EXPECT_EQ(co_await refused(action), Code::conflict) << "it is gone";
    EXPECT_EQ(co_await failure_of(change_backing(tx, {"obj-none"}, Backing::restore)), Code::conflict);
  });
}

TEST(ObjectRows, BytesMayBelongToNoWorkspace) {
  run([](net::Executor, postgres::Database& database) -> Task<> {
    postgres::Tx tx = co_await database.begin();
    Id<Object> id = Id<Object>::make();
    co_await insert_unowned(tx, id, "configuration", "mod-1");
    EXPECT_EQ((co_await find(tx, id))->workspace, "mod-1");
  });
}

TEST(ObjectRows, AnIdGivenBeforehandBelongsToOneObjectOnly) {
  run([](net::Executor, postgres::Database& database) -> Task<> {
    postgres::Tx tx = co_await database.begin();
    Id<Object> id = Id<Object>::make();
    co_await insert_if_absent(tx, id, "plan", "ws-1");
    co_await insert_if_absent(tx, id, "plan", "ws-1");
    EXPECT_EQ(co_await failure_of(insert_if_absent(tx, id, "state", "ws-1")), Code::conflict);
    EXPECT_EQ(co_await failure_of(insert_if_absent(tx, id, "plan", "ws-2")), Code::conflict);
    EXPECT_EQ((co_await find(tx, id))->workspace, "ws-1");
  });
}

/// Bytes of a test as an upload.
class Source : public http::ByteSource {
 public:
  explicit Source(std::string bytes) : bytes_(std::move(bytes)) {}
  Task<std::size_t> read(std::span<char> into) override {
    const std::size_t size = bytes_.copy(into.data(), into.size(), at_);
    at_ += size;
    co_return size;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

/// The client against the fake: what other tests rely on.
void run_client(std::function<Task<>(FakeArchivist&, ArchivistClient&, postgres::Database&)> body) {
  run([&](net::Executor executor, postgres::Database& database) -> Task<> {
    testing::TestDirectory directory("fake-archivist", "");
    UrlSigner urls(Secret(std::string(32, 'k')));
    FakeArchivist fake(executor, database, urls, directory.path() / "socket");
    ArchivistClient client(executor, directory.path() / "socket");
    co_await body(fake, client, database);
    co_await fake.stop();
  });
}

Task<Id<Object>> made(postgres::Database& database, std::string_view kind) {
  postgres::Tx tx = co_await database.begin();
  Id<Object> id = Id<Object>::make();
  co_await insert(tx, id, kind, "ws-1");
  co_await tx.commit();
  co_return id;
}

TEST(FakeArchivist, TakesObjectsOnce) {
  run_client([](FakeArchivist& fake, ArchivistClient& client, postgres::Database& database) -> Task<> {
    co_await client.ping();
    Id<Object> id = co_await made(database, "state");
    EXPECT_EQ(co_await failure_of(client.get(id)), Code::not_found);
    Source bytes("hello");
    ArchivistClient::Stored stored = co_await client.put_plain(id, bytes);
    EXPECT_EQ(stored.size, 5);
    EXPECT_EQ(stored.md5, "5d41402abc4b2a76b9719d911017c592");
    http::ClientResponse got = co_await client.get(id);
    EXPECT_EQ(co_await got.text(), "hello");

    Source again("hello");
    co_await client.put_sealed(id, again, 5);
    Source other("olleh");
    EXPECT_EQ(co_await failure_of(client.put_sealed(id, other, 5)), Code::conflict);
    Source unknown("x");
    EXPECT_EQ(co_await failure_of(client.put_plain(Id<Object>::make(), unknown)), Code::not_found);
    EXPECT_EQ(fake.bytes(id.text()), "hello");
    postgres::Tx tx = co_await database.begin();
    EXPECT_EQ((co_await find(tx, id))->status, "live");
  });
}

TEST(FakeArchivist, KeepsLogsInSegments) {
  run_client([](FakeArchivist& fake, ArchivistClient& client, postgres::Database& database) -> Task<> {
    Id<Object> log = co_await made(database, "log");
    ArchivistClient::Appended first = co_await client.append_sealed(log, 1, 0, "abc");
    EXPECT_TRUE(first.taken);
    EXPECT_EQ(first.size, 3);
    ArchivistClient::Appended gap = co_await client.append_sealed(log, 1, 9, "xyz");
    EXPECT_FALSE(gap.taken);
    EXPECT_EQ(gap.size, 3) << "where to go on";
    EXPECT_EQ((co_await client.append_sealed(log, 1, 1, "bcd")).size, 4) << "an overlap is a repeat";
    co_await client.append_text(log, "ws-1", 2, "end");
    co_await client.append_text(log, "ws-1", 2, "end");
    EXPECT_EQ(co_await failure_of(client.append_text(log, "ws-1", 2, "other")), Code::conflict);
    EXPECT_FALSE((co_await client.append_sealed(log, 1, 4, "late")).taken);
    EXPECT_EQ(fake.log(log.text()), "abcdend");

    fake.set_away(true);
    EXPECT_EQ(co_await failure_of(client.ping()), Code::unavailable);
    EXPECT_EQ(co_await failure_of(client.append_text(log, "ws-1", 3, "x")), Code::unavailable);
  });
}

}  // namespace
}  // namespace terrane::object
