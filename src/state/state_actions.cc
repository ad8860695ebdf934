// What people do to versions that are there: going back to one, and taking bytes away.
#include "api/api.h"
#include "state/state.h"
#include "state/state_sql.h"

namespace terrane::state {

void require_lock_of(const api::Principal& principal, const Workspace& workspace) {
  const std::string rule = "The workspace must be locked by you before its state is written. ";
  if (!workspace.locked()) throw Error(Code::conflict, rule + "It is not locked.");
  const bool team = principal.kind == api::Principal::Kind::team;
  if (!workspace.locked_by(team ? "teams" : "users", principal.id))
    throw Error(Code::conflict, rule + workspace::lock_description(workspace));
}

Task<> Api::copy_bytes(const StateVersion& from, const Id<Object>& to, const Id<Object>& json_to) {
  if (from.has_json) {
    http::ClientResponse bytes = co_await needs_.archivist.get(Id<Object>(from.json_object.value()));
    co_await needs_.archivist.put_plain(json_to, *bytes.body);
  }
  http::ClientResponse bytes = co_await needs_.archivist.get(Id<Object>(from.object));
  object::ArchivistClient::Stored stored = co_await needs_.archivist.put_plain(to, *bytes.body);
  postgres::Tx tx = co_await needs_.database.begin();
  Upload upload = co_await on_uploaded(tx, to, stored.md5, stored.size);
  co_await tx.commit();
  if (upload == Upload::discarded)
    throw Error(Code::conflict, "The lock was taken away, or a newer state came, before the rollback ended.");
  if (upload == Upload::wrong_md5)
    throw Error(Code::internal, "The bytes of a state version are other ones than when it was stored.");
}

Task<http::Response> Api::rollback(http::Request& request) {
  json::object data = co_await api::read_data(request, "state-versions", 64 * 1024);
  const api::Principal& principal = api::principal(request);
  const std::string pointer = "/data/relationships/rollback-state-version";
  std::optional<std::string> wanted = jsonapi::related_id(data, "rollback-state-version");
  if (!wanted) throw Error(Code::unprocessable, "A rollback needs the state version to go back to.", pointer);

  const Id<StateVersion> id = Id<StateVersion>::make();
  const Id<Object> object = Id<Object>::make(), json_object = Id<Object>::make();
  std::optional<StateVersion> source;
  {
    postgres::Tx tx = co_await needs_.database.begin();
    auto seen = co_await workspace::require(tx, principal, request.parameter("id"), workspace::RowLock::yes);
    if (!seen.access.write_state) throw Error(Code::not_found, "");
    source = co_await find(tx, *wanted);
    if (!source || source->workspace != seen.workspace.id.text())
      throw Error(Code::not_found, "There is no such state version in this workspace.", pointer);
    require_lock_of(principal, seen.workspace);
    if (!source->usable())
      throw Error(Code::conflict, "The state version has no bytes to go back to.", pointer);
    const Identity identity{source->serial, source->lineage, source->md5};
    co_await object::insert(tx, object, "state", source->workspace, facts_of(identity, std::nullopt));
    co_await object::insert(tx, json_object, "json-state", source->workspace);
    // The serial stays that of the bytes: the engine's next state counts on from it.
    co_await tx.run(sql::state_version_insert,
                    postgres::Params::of(id, source->workspace, std::nullopt, std::nullopt, source->serial,
                                         source->lineage, source->md5, std::nullopt, "pending", false, false,
                                         object, json_object, principal.id));
    co_await tx.run(sql::state_version_set_rollback, postgres::Params::of(id, source->id));
    co_await tx.commit();
  }
  std::exception_ptr failure;
  try {
    co_await copy_bytes(*source, object, json_object);
  } catch (const Error&) {
    failure = std::current_exception();
  }
  if (failure) {
    // A pending version would keep the workspace from being unlocked.
    co_await needs_.database.query(sql::state_version_discard, postgres::Params::of(id));
    std::rethrow_exception(failure);
  }
  postgres::Tx tx = co_await needs_.database.begin();
  std::optional<StateVersion> made = co_await find(tx, id.text());
  if (!made) throw Error(Code::not_found, "");
  json::object shown = co_await full_document(tx, *made, false);
  co_return api::answer(201, jsonapi::document(std::move(shown)));
}

Task<http::Response> Api::change_backing(http::Request& request, object::Backing action) {
  postgres::Tx tx = co_await needs_.database.begin();
  std::optional<StateVersion> version = co_await find(tx, request.parameter("id"));
  if (!version) throw Error(Code::not_found, "");
  auto seen =
      co_await workspace::require(tx, api::principal(request), version->workspace, workspace::RowLock::yes);
  if (!seen.access.update || !seen.access.write_state) throw Error(Code::not_found, "");
  if (seen.workspace.current_state_version == version->id.text()) {
    throw Error(Code::conflict,
                "transition not allowed: the backing data cannot be deleted because the version is current.");
  }
  std::vector<std::string> objects{version->object};
  if (version->json_object) objects.push_back(*version->json_object);
  co_await object::change_backing(tx, objects, action);
  if (action == object::Backing::permanently_delete) {
    // What was read out of the bytes goes with them.
    co_await tx.run(sql::state_outputs_delete, postgres::Params::of(version->id));
    co_await tx.run(sql::state_version_forget_content, postgres::Params::of(version->id));
  }
  co_await tx.commit();
  co_return api::no_content();
}

Task<http::Response> Api::soft_delete(http::Request& request) {
  co_return co_await change_backing(request, object::Backing::soft_delete);
}

Task<http::Response> Api::restore(http::Request& request) {
  co_return co_await change_backing(request, object::Backing::restore);
}

Task<http::Response> Api::permanently_delete(http::Request& request) {
  co_return co_await change_backing(request, object::Backing::permanently_delete);
}

}  // namespace terrane::state
