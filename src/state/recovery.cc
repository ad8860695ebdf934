#include "state/recovery.h"

#include "base/log.h"
#include "base/text.h"
#include "installation/epoch.h"
#include "outbox/outbox.h"
#include "state/recovery_sql.h"
#include "state/state.h"

namespace terrane::state {
namespace {

using StoredObject = object::ArchivistClient::StoredObject;

std::string fact(const StoredObject& found, const std::string& name) {
  auto known = found.facts.find(name);
  return known == found.facts.end() ? std::string() : known->second;
}

}  // namespace

Task<bool> Recovery::step() {
  std::optional<installation::StateSearch> search = co_await installation::open_state_search(database_);
  if (!search) co_return false;
  object::ArchivistClient::StoredPage page = co_await archivist_.stored("state", search->after);
  postgres::Result unknown =
      co_await database_.query(sql::recovery_unknown, postgres::Params::of(page.objects));
  for (std::size_t i = 0; i < unknown.size(); ++i) co_await recover(Id<Object>(unknown[i].string("id")));
  if (!page.next.empty()) {
    search->after = page.next;
    co_await installation::advance_state_search(database_, *search);
    co_return true;
  }
  co_await installation::end_state_search(database_, search->epoch);
  log::info("the blob store has been looked through for states that the database does not know",
            {{"epoch", search->epoch}, {"recovered", std::exchange(recovered_, 0)}});
  co_return true;
}

Task<> Recovery::recover(const Id<Object>& object) {
  StoredObject found;
  try {
    found = co_await archivist_.look_at_stored("state", object);
  } catch (const Error& error) {
    if (error.code() != Code::internal && error.code() != Code::not_found) throw;
    log::error("a state in the blob store cannot be recovered",
               {{"object", object.text()}, {"error", error.what()}});
    co_return;
  }
  std::optional<std::int64_t> serial = parse_int(fact(found, "serial"));
  if (!serial || fact(found, "md5") != found.md5) {
    // An upload of other bytes than announced was never accepted.
    log::warn("a state in the blob store is not what its header says, and is left there",
              {{"object", object.text()}, {"workspace", found.workspace}});
    co_return;
  }
  co_await adopt(object, found, *serial);
}

Task<> Recovery::adopt(const Id<Object>& object, const StoredObject& found, std::int64_t serial) {
  postgres::Tx tx = co_await database_.begin();
  std::optional<Workspace> workspace = co_await workspace::find(tx, found.workspace, workspace::RowLock::yes);
  if (!workspace) {
    log::warn("a state in the blob store is of a workspace that is not there, and is left there",
              {{"object", object.text()}, {"workspace", found.workspace}});
    co_return;
  }
  if (!co_await object::adopt(tx, object, "state", found.workspace, found.size, found.md5)) co_return;
  Id<StateVersion> id = Id<StateVersion>::make();
  if (std::optional<StateVersion> known = co_await find_by_object(tx, object.text())) {
    if (known->status != "pending") co_return;  // another search was faster
    id = known->id;
    co_await tx.run(sql::recovery_keep_pending, postgres::Params::of(id, found.md5, found.size));
  } else {
    std::optional<std::string> lineage;
    if (!fact(found, "lineage").empty()) lineage = fact(found, "lineage");
    co_await tx.run(sql::recovery_insert,
                    postgres::Params::of(id, found.workspace, fact(found, "run"), serial, lineage, found.md5,
                                         found.size, object, parse_time(fact(found, "time"))));
  }
  json::object message{{"look", "states"}};
  co_await outbox::write(tx, outbox::services_queue, message);
  co_await tx.commit();
  ++recovered_;
  log::warn("a state that the database did not know is kept as recovered",
            {{"state_version", id.text()}, {"workspace", found.workspace}, {"serial", serial}});
}

Task<> Recovery::run(net::Stop& stop) {
  while (!co_await stop.wait_for(std::chrono::seconds(5))) {
    try {
      while (!stop.requested() && co_await step()) {
      }
    } catch (const Error& error) {
      log::warn("the search for states waits", {{"error", error.what()}});
    }
  }
}

}  // namespace terrane::state
