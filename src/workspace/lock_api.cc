#include "workspace/workspace_api.h"
#include "workspace/workspace_sql.h"

namespace terrane::workspace {
namespace {

/// The reason of a lock: a JSON:API document's attribute (what go-tfe sends) or a plain object's member (what
/// the documents show).
std::optional<std::string> reason_of(const json::object& body) {
  if (const json::object* data = find_object(body, "data")) {
    const json::object* attributes = find_object(*data, "attributes");
    return attributes ? find_string(*attributes, "reason") : std::nullopt;
  }
  return find_string(body, "reason");
}

std::string lock_kind(const api::Principal& principal) {
  switch (principal.kind) {
    case api::Principal::Kind::user: return "users";
    case api::Principal::Kind::team: return "teams";
    case api::Principal::Kind::run: return "runs";
    case api::Principal::Kind::organization:
    case api::Principal::Kind::audit_trails: throw Error(Code::not_found, "");
  }
  throw Error(Code::not_found, "");
}

}  // namespace

Task<http::Response> Api::lock(http::Request& request) {
  json::object body = co_await api::read_object(request);
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, principal, request.parameter("id"), RowLock::yes);
  if (!seen.access.lock) throw Error(Code::not_found, "");
  if (seen.workspace.locked())
    throw Error(Code::conflict, "Unable to lock workspace. " + lock_description(seen.workspace));
  co_await set_lock(tx, seen.workspace.id, lock_kind(principal), principal.id, reason_of(body));
  Visible made = co_await require(tx, principal, seen.workspace.id.text());
  co_await tx.commit();
  co_return api::answer(200, jsonapi::document(document(made.workspace, made.access)));
}

Task<http::Response> Api::unlock(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, principal, request.parameter("id"), RowLock::yes);
  if (!seen.access.lock) throw Error(Code::not_found, "");
  if (!seen.workspace.locked()) throw Error(Code::conflict, "Unable to unlock workspace. It is not locked.");
  if (!seen.workspace.locked_by(lock_kind(principal), principal.id)) {
    throw Error(Code::conflict, "Unable to unlock workspace. " + lock_description(seen.workspace));
  }
  postgres::Result pending =
      co_await tx.run(sql::workspace_pending_upload, postgres::Params::of(seen.workspace.id));
  if (!pending.empty()) {
    throw Error(Code::conflict,
                "Unable to unlock workspace while a state version upload is still pending. Finish the upload "
                "or force-unlock.");
  }
  // An older upload counts as discarded; it must not become current under the next owner's lock.
  co_await tx.run(sql::workspace_discard_pending_uploads, postgres::Params::of(seen.workspace.id));
  co_await clear_lock(tx, seen.workspace.id.text(), lock_kind(principal), principal.id);
  Visible made = co_await require(tx, principal, seen.workspace.id.text());
  co_await tx.commit();
  co_return api::answer(200, jsonapi::document(document(made.workspace, made.access)));
}

Task<http::Response> Api::force_unlock(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, principal, request.parameter("id"), RowLock::yes);
  if (!seen.access.force_unlock) throw Error(Code::not_found, "");
  if (!seen.workspace.locked()) throw Error(Code::conflict, "Unable to unlock workspace. It is not locked.");
  if (seen.workspace.lock_kind == "runs") {
    postgres::Result executing =
        co_await tx.run(sql::workspace_executing_owner, postgres::Params::of(seen.workspace.id));
    if (!executing.empty()) {
      throw Error(Code::conflict,
                  "Run " + executing[0].string("run_id") + " executes its " + executing[0].string("phase") +
                      " right now. Cancel the run; the lock is freed when its phase has ended.");
    }
  }
  co_await tx.run(sql::workspace_discard_pending_uploads, postgres::Params::of(seen.workspace.id));
  co_await clear_lock(tx, seen.workspace.id.text(), *seen.workspace.lock_kind, *seen.workspace.lock_owner);
  Visible made = co_await require(tx, principal, seen.workspace.id.text());
  co_await tx.commit();
  co_return api::answer(200, jsonapi::document(document(made.workspace, made.access)));
}

}  // namespace terrane::workspace
