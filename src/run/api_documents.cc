// Runs as API v2 shows them, many at once: a list costs as many questions as one run does.
#include "run/api.h"
#include "run/run_sql.h"
#include "run/waits.h"

namespace terrane::run {
namespace {

json::object actions_of(const Run& run) {
  const Status status = run.state();
  return {{"is-cancelable", is_cancelable(status)},
          {"is-confirmable", is_confirmable(status)},
          {"is-discardable", is_discardable(status)},
          {"is-force-cancelable", run.force_cancel_available_at.has_value() && is_executing(status) &&
                                      *run.force_cancel_available_at <= now()}};
}

json::object permissions_of(const organization::WorkspaceAccess& access) {
  return {{"can-apply", access.apply_runs},         {"can-cancel", access.queue_runs},
          {"can-comment", access.queue_runs},       {"can-discard", access.apply_runs},
          {"can-force-execute", access.apply_runs}, {"can-force-cancel", access.update && access.apply_runs},
          {"can-override-policy-check", false}};
}

/// What a run has many of, as resource identifiers.
struct Links {
  json::array events, comments;
};

json::object relationships(const Run& run, Links links) {
  return {{"workspace", linkage("workspaces", run.workspace)},
          {"configuration-version", linkage("configuration-versions", run.configuration_version)},
          {"created-by", linkage("users", run.created_by)},
          {"confirmed-by", linkage("users", run.confirmed_by)},
          {"plan", linkage("plans", run.plan)},
          {"apply", linkage("applies", run.apply)},
          {"cost-estimate", linkage("cost-estimates", std::nullopt)},
          {"policy-checks", json::object{{"data", json::array()}}},
          {"task-stages", json::object{{"data", json::array()}}},
          {"run-events", json::object{{"data", std::move(links.events)}}},
          {"comments", json::object{{"data", std::move(links.comments)}}}};
}

}  // namespace

Task<std::vector<json::value>> Api::opened_variables(const std::vector<Seen>& runs) {
  std::vector<json::value> out(runs.size());
  std::vector<vault_client::Cipher> ciphers;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < runs.size(); ++i) {
    if (runs[i].run.sealed_variables.empty() || !runs[i].access.read_variables) continue;
    ciphers.push_back({runs[i].run.sealed_variables, runs[i].run.id.text()});
    places.push_back(i);
  }
  if (ciphers.empty()) co_return out;
  std::vector<Secret> texts = co_await needs_.vault.decrypt_all("terrane", std::move(ciphers));
  for (std::size_t i = 0; i < places.size(); ++i) out[places[i]] = parse_json(texts[i].reveal());
  co_return out;
}

Task<std::vector<json::object>> Api::documents(postgres::Tx& tx, const std::vector<Seen>& runs) {
  std::vector<json::object> out;
  if (runs.empty()) co_return out;
  Ids ids;
  for (const Seen& seen : runs) ids.push_back(seen.run.id.text());
  postgres::Result rows = co_await tx.run(sql::run_links, postgres::Params::of(ids));
  std::map<std::string, Links> links;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::string type = rows[i].string("type");
    Links& own = links[rows[i].string("run_id")];
    json::array& list = type == "comments" ? own.comments : own.events;
    list.push_back(json::object{{"id", rows[i].string("id")}, {"type", type}});
  }
  std::vector<json::value> variables = co_await opened_variables(runs);
  Ids waiting;
  for (const Seen& seen : runs) {
    if (may_wait(seen.run.state())) waiting.push_back(seen.run.id.text());
  }
  const std::map<std::string, std::string> waits = co_await waiting_for(tx, waiting);
  for (std::size_t i = 0; i < runs.size(); ++i) {
    const Run& run = runs[i].run;
    json::object shown = jsonapi::encode(resource(), &run, ids[i]);
    json::object& attributes = shown["attributes"].as_object();
    attributes["actions"] = actions_of(run);
    attributes["permissions"] = permissions_of(runs[i].access);
    attributes["variables"] = std::move(variables[i]);
    const auto wait = waits.find(ids[i]);
    attributes["waiting-for"] = wait == waits.end() ? json::value() : json::value(wait->second);
    shown["relationships"] = relationships(run, std::move(links[ids[i]]));
    shown["links"] = json::object{{"self", "/api/v2/runs/" + ids[i]}};
    out.push_back(std::move(shown));
  }
  co_return out;
}

Task<json::object> Api::document(postgres::Tx& tx, const Seen& seen) {
  std::vector<Seen> one{seen};
  std::vector<json::object> shown = co_await documents(tx, one);
  co_return std::move(shown.front());
}

}  // namespace terrane::run
