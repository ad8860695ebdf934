#include <set>

#include "run/api.h"
#include "run/run_sql.h"

namespace terrane::run {

json::object linkage(std::string_view type, const std::optional<std::string>& id) {
  if (!id || id->empty()) return {{"data", nullptr}};
  return {{"data", json::object{{"id", *id}, {"type", type}}}};
}

void Api::add_includes() {
  api::Includes& includes = needs_.includes;
  auto add = [&](std::string_view type, auto load) {
    includes.add_resource(type, [this, load](postgres::Tx& tx, const api::Principal& principal,
                                             const Ids& ids) { return (this->*load)(tx, principal, ids); });
  };
  add("runs", &Api::load);
  add("plans", &Api::load_plans);
  add("applies", &Api::load_applies);
  add("run-events", &Api::load_events);
  add("comments", &Api::load_comments);
  includes.add_relation("runs", "workspace", {"workspaces"});
  includes.add_relation("runs", "configuration_version", {"configuration-versions"});
  includes.add_relation("runs", "created_by", {"users"});
  includes.add_relation("runs", "confirmed_by", {"users"});
  includes.add_relation("runs", "plan", {"plans"});
  includes.add_relation("runs", "apply", {"applies"});
  includes.add_relation("runs", "run_events", {"run-events"});
  includes.add_relation("runs", "comments", {"comments"});
  // Clients ask for these, too; runs have none of them yet.
  for (std::string_view relation : {"cost_estimate", "policy_checks", "task_stages"})
    includes.add_relation("runs", relation, {});
  includes.add_relation("run-events", "actor", {"users"});
  includes.add_relation("run-events", "comment", {"comments"});
  includes.add_relation("comments", "run_event", {"run-events"});
  includes.add_relation("comments", "created_by", {"users"});
  includes.add_relation("applies", "state_versions", {"state-versions"});
}

Task<std::vector<Api::Seen>> Api::find_visible(postgres::Tx& tx, const api::Principal& principal,
                                               const Ids& ids) {
  std::vector<Run> runs = co_await find_runs(tx, ids);
  Ids workspaces;
  for (const Run& run : runs) workspaces.push_back(run.workspace);
  auto visible = co_await workspace::find_visible(tx, principal, workspaces);
  std::vector<Seen> out;
  for (Run& run : runs) {
    auto found = visible.find(run.workspace);
    if (found != visible.end())
      out.push_back({std::move(run), found->second.workspace, found->second.access});
  }
  co_return out;
}

Task<std::vector<json::object>> Api::load(postgres::Tx& tx, const api::Principal& principal, const Ids& ids) {
  std::vector<Seen> runs = co_await find_visible(tx, principal, ids);
  co_return co_await documents(tx, runs);
}

namespace {

/// The runs of plans, applies or events.
std::vector<std::string> runs_of(const std::vector<PhaseRecord>& phases) {
  std::vector<std::string> ids;
  for (const PhaseRecord& phase : phases) ids.push_back(phase.run);
  return ids;
}

}  // namespace

Task<std::set<std::string>> Api::visible_ids(postgres::Tx& tx, const api::Principal& principal,
                                             const Ids& ids) {
  std::set<std::string> out;
  for (const Seen& seen : co_await find_visible(tx, principal, ids)) out.insert(seen.run.id.text());
  co_return out;
}

Task<std::vector<json::object>> Api::load_plans(postgres::Tx& tx, const api::Principal& principal,
                                                const Ids& ids) {
  std::vector<PhaseRecord> plans = co_await find_plans(tx, ids);
  std::set<std::string> visible = co_await visible_ids(tx, principal, runs_of(plans));
  std::vector<json::object> out;
  for (const PhaseRecord& plan : plans) {
    if (visible.contains(plan.run)) out.push_back(plan_document(plan));
  }
  co_return out;
}

Task<std::vector<json::object>> Api::load_applies(postgres::Tx& tx, const api::Principal& principal,
                                                  const Ids& ids) {
  std::vector<PhaseRecord> applies = co_await find_applies(tx, ids);
  std::set<std::string> visible = co_await visible_ids(tx, principal, runs_of(applies));
  std::erase_if(applies, [&](const PhaseRecord& apply) { return !visible.contains(apply.run); });
  co_return co_await apply_documents(tx, applies);
}

Task<std::vector<json::object>> Api::load_events(postgres::Tx& tx, const api::Principal& principal,
                                                 const Ids& ids) {
  co_return co_await load_rows(tx, principal, ids, sql::run_event_find_many, event_document);
}

Task<std::vector<json::object>> Api::load_comments(postgres::Tx& tx, const api::Principal& principal,
                                                   const Ids& ids) {
  co_return co_await load_rows(tx, principal, ids, sql::run_comment_find_many, comment_document);
}

Task<std::vector<json::object>> Api::load_rows(postgres::Tx& tx, const api::Principal& principal,
                                               const Ids& ids, const Statement& statement,
                                               json::object (*document_of)(const postgres::Row&)) {
  postgres::Result rows = co_await tx.run(statement, postgres::Params::of(ids));
  Ids runs;
  for (std::size_t i = 0; i < rows.size(); ++i) runs.push_back(rows[i].string("run_id"));
  std::set<std::string> visible = co_await visible_ids(tx, principal, runs);
  std::vector<json::object> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (visible.contains(rows[i].string("run_id"))) out.push_back(document_of(rows[i]));
  }
  co_return out;
}

}  // namespace terrane::run
