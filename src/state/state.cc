#include "state/state.h"

#include "outbox/outbox.h"
#include "state/state_sql.h"

namespace terrane::state {

const jsonapi::Resource& resource() {
  using jsonapi::attr;
  static const std::array attributes{
      attr<&StateVersion::serial>("serial", "serial"),
      attr<&StateVersion::lineage>("lineage", "lineage"),
      attr<&StateVersion::md5>("md5", "md5"),
      attr<&StateVersion::size>("size", "size"),
      attr<&StateVersion::status>("status", "status"),
      attr<&StateVersion::intermediate>("intermediate", "intermediate"),
      attr<&StateVersion::recovered>("recovered", "recovered"),
      attr<&StateVersion::resources_processed>("resources-processed", "resources_processed"),
      attr<&StateVersion::terraform_version>("terraform-version", "terraform_version"),
      attr<&StateVersion::resources>("resources", "resources"),
      attr<&StateVersion::parse_error>("parse-error", "parse_error"),
      attr<&StateVersion::created_at>("created-at", "created_at"),
      attr<&StateVersion::workspace>("workspace-id", "workspace_id", jsonapi::hidden),
      attr<&StateVersion::run>("run-id", "run_id", jsonapi::hidden),
      attr<&StateVersion::object>("object-id", "object_id", jsonapi::hidden),
      attr<&StateVersion::json_object>("json-object-id", "json_object_id", jsonapi::hidden),
      attr<&StateVersion::created_by>("creator-id", "created_by", jsonapi::hidden),
      attr<&StateVersion::rollback_of>("rollback-of", "rollback_of", jsonapi::hidden),
      attr<&StateVersion::backing>("backing", "backing", jsonapi::hidden),
      attr<&StateVersion::has_json>("has-json", "has_json", jsonapi::hidden),
  };
  static const jsonapi::Resource table{"state-versions", attributes, {}};
  return table;
}

StateVersion from_row(const postgres::Row& row) {
  StateVersion version = jsonapi::from_row<StateVersion>(resource(), row);
  version.id = Id<StateVersion>(row.string("id"));
  return version;
}

Task<std::optional<StateVersion>> find(postgres::Tx& tx, const std::string& id) {
  std::vector<std::string> one(1, id);
  postgres::Result result = co_await tx.run(sql::state_version_find_many, postgres::Params::of(one));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return from_row(*row);
}

Task<std::optional<StateVersion>> find_by_object(postgres::Tx& tx, const std::string& object) {
  postgres::Result result = co_await tx.run(sql::state_version_of_object, postgres::Params::of(object));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return from_row(*row);
}

std::map<std::string, std::string> facts_of(const Identity& identity, const std::optional<std::string>& run) {
  return {{"serial", std::to_string(identity.serial)},
          {"md5", identity.md5},
          {"lineage", identity.lineage.value_or("")},
          {"run", run.value_or("")}};
}

Verdict judge(const std::optional<Identity>& current, const Identity& given, bool force) {
  if (!current || force) return Verdict::accept;
  if (current->lineage && given.lineage && *current->lineage != *given.lineage)
    return Verdict::lineage_conflict;
  if (given.serial < current->serial) return Verdict::serial_conflict;
  if (given.serial == current->serial && given.md5 != current->md5) return Verdict::serial_conflict;
  return Verdict::accept;
}

namespace {

/// What follows from a version becoming the current one.
Task<> make_current(postgres::Tx& tx, const std::string& workspace, const std::string& version) {
  co_await workspace::set_current_state(tx, workspace, version);
  co_await tx.run(sql::state_version_supersede, postgres::Params::of(workspace, version));
  json::object message{{"look", "states"}};
  co_await outbox::write(tx, outbox::services_queue, message);
}

Task<Id<StateVersion>> insert_from_run(postgres::Tx& tx, const Workspace& workspace, const FromRun& given,
                                       bool recovered) {
  Id<StateVersion> id = Id<StateVersion>::make();
  co_await tx.run(
      sql::state_version_insert,
      postgres::Params::of(id, workspace.id, given.run, given.job, given.identity.serial,
                           given.identity.lineage, given.identity.md5, given.size, "finalized",
                           given.intermediate, recovered, given.object, std::nullopt, std::nullopt));
  co_return id;
}

}  // namespace

Task<Id<StateVersion>> add_from_run(postgres::Tx& tx, const Workspace& workspace, const FromRun& given) {
  if (std::optional<StateVersion> known = co_await find_by_object(tx, given.object)) {
    if (known->intermediate && !given.intermediate)
      co_await tx.run(sql::state_version_settle, postgres::Params::of(known->id));
    co_return known->id;
  }
  Id<StateVersion> id = co_await insert_from_run(tx, workspace, given, false);
  co_await make_current(tx, workspace.id.text(), id.text());
  co_return id;
}

Task<Id<StateVersion>> add_recovered(postgres::Tx& tx, const Workspace& workspace, const FromRun& given) {
  if (std::optional<StateVersion> known = co_await find_by_object(tx, given.object)) co_return known->id;
  co_return co_await insert_from_run(tx, workspace, given, true);
}

Task<Upload> on_uploaded(postgres::Tx& tx, const Id<Object>& object, const std::string& md5,
                         std::int64_t size) {
  std::optional<StateVersion> version = co_await find_by_object(tx, object.text());
  if (!version) co_return Upload::not_a_state;
  if (version->object != object.text() || version->status == "finalized") co_return Upload::done;
  // The workspace's row decides: the lock is held until the version is current.
  std::optional<Workspace> workspace =
      co_await workspace::find(tx, version->workspace, workspace::RowLock::yes);
  if (!workspace) co_return Upload::not_a_state;
  if (version->md5 != md5) {
    co_await tx.run(sql::state_version_discard, postgres::Params::of(version->id));
    co_return Upload::wrong_md5;
  }
  postgres::Result finalized =
      co_await tx.run(sql::state_version_finalize, postgres::Params::of(version->id, size));
  if (finalized.affected() == 1) {
    co_await make_current(tx, version->workspace, version->id.text());
    co_return Upload::done;
  }
  std::optional<StateVersion> now = co_await find(tx, version->id.text());
  co_return now && now->status == "finalized" ? Upload::done : Upload::discarded;
}

namespace {

/// Seals the values of outputs, each bound to its id, in batches that a vault takes as one request.
Task<std::vector<std::string>> seal_values(vault_client::Vault& vault,
                                           const std::vector<ParsedOutput>& outputs,
                                           const std::vector<std::string>& ids) {
  constexpr std::size_t batch_limit = 5 * 1024 * 1024;
  std::vector<std::string> sealed;
  std::vector<vault_client::Plain> batch;
  std::size_t bytes = 0;
  for (std::size_t i = 0; i <= outputs.size(); ++i) {
    std::string value;
    if (i < outputs.size()) value = json::serialize(outputs[i].value);
    if (!batch.empty() && (i == outputs.size() || bytes + value.size() > batch_limit)) {
      std::vector<std::string> more = co_await vault.encrypt_all("terrane", std::exchange(batch, {}));
      sealed.insert(sealed.end(), more.begin(), more.end());
      bytes = 0;
    }
    if (i == outputs.size()) break;
    bytes += value.size();
    batch.push_back({Secret(std::move(value)), ids[i]});
  }
  co_return sealed;
}

}  // namespace

Task<> store_parsed(postgres::Database& database, vault_client::Vault& vault,
                    const std::string& state_version, Parsed parsed) {
  // Sealing comes first: no row is locked while vault answers.
  std::vector<std::string> ids;
  for (std::size_t i = 0; i < parsed.outputs.size(); ++i) ids.push_back("wsout-" + random_id_suffix());
  std::vector<std::string> sealed = co_await seal_values(vault, parsed.outputs, ids);
  postgres::Tx tx = co_await database.begin();
  postgres::Result mine =
      co_await tx.run(sql::state_version_lock_unparsed, postgres::Params::of(state_version));
  if (mine.empty()) co_return;
  for (std::size_t i = 0; i < parsed.outputs.size(); ++i) {
    const ParsedOutput& output = parsed.outputs[i];
    co_await tx.run(sql::state_output_insert,
                    postgres::Params::of(ids[i], state_version, output.name, output.sensitive, output.type,
                                         output.detailed_type, sealed[i]));
  }
  std::optional<std::string> note;
  if (!parsed.note.empty()) note = parsed.note;
  co_await tx.run(sql::state_version_store_parsed,
                  postgres::Params::of(state_version, parsed.terraform_version,
                                       json::value(std::move(parsed.resources)), note));
  co_await tx.run(sql::state_version_wake_parser);
  co_await tx.commit();
}

Task<> store_parse_failure(postgres::Database& database, const std::string& state_version,
                           const std::string& reason) {
  postgres::Tx tx = co_await database.begin();
  co_await tx.run(sql::state_version_store_parsed,
                  postgres::Params::of(state_version, std::nullopt, json::value(json::array()), reason));
  co_await tx.run(sql::state_version_wake_parser);
  co_await tx.commit();
}

Task<std::vector<std::pair<std::string, std::string>>> unparsed(postgres::Database& database) {
  postgres::Result rows = co_await database.query(sql::state_version_unparsed);
  std::vector<std::pair<std::string, std::string>> out;
  for (std::size_t i = 0; i < rows.size(); ++i)
    out.emplace_back(rows[i].string("id"), rows[i].string("object_id"));
  co_return out;
}

}  // namespace terrane::state
