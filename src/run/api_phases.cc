#include "run/api.h"
#include "run/run_sql.h"

namespace terrane::run {
namespace {

json::object counts(const PhaseRecord& record) {
  auto number = [](const std::optional<std::int64_t>& value) {
    return value ? json::value(*value) : json::value();
  };
  return {{"status", record.status},
          {"status-timestamps", record.status_timestamps},
          {"resource-additions", number(record.additions)},
          {"resource-changes", number(record.changes)},
          {"resource-destructions", number(record.destructions)},
          {"resource-imports", number(record.imports)},
          {"execution-details", json::object{{"mode", "remote"}}}};
}

/// A redirect is followed at once.
constexpr std::chrono::seconds redirect_life{60};

std::string run_of(const std::string& phase_id) { return "run-" + phase_id.substr(phase_id.find('-') + 1); }

}  // namespace

json::object Api::plan_document(const PhaseRecord& plan) const {
  json::object attributes = counts(plan);
  attributes["has-changes"] = plan.has_changes;
  attributes["generated-configuration"] = plan.generated_configuration;
  attributes["permissions"] = json::object{{"can-export", false}};
  attributes["actions"] = json::object{{"is-exportable", false}};
  attributes["log-read-url"] =
      needs_.origin + needs_.urls.path(object::Access::log, Id<Object>(plan.log), object::log_life);
  json::object out{{"id", plan.id}, {"type", "plans"}, {"attributes", std::move(attributes)}};
  out["relationships"] = json::object{{"state-versions", json::object{{"data", json::array()}}},
                                      {"exports", json::object{{"data", json::array()}}}};
  const std::string self = "/api/v2/plans/" + plan.id;
  out["links"] = json::object{
      {"self", self}, {"json-output", self + "/json-output"}, {"json-schema", self + "/json-schema"}};
  return out;
}

Task<json::object> Api::plan_document(postgres::Tx& tx, const std::string& id) {
  std::optional<PhaseRecord> plan = co_await find_plan(tx, id);
  if (!plan) throw Error(Code::not_found, "");
  co_return plan_document(*plan);
}

Task<std::vector<json::object>> Api::apply_documents(postgres::Tx& tx,
                                                     const std::vector<PhaseRecord>& applies) {
  Ids ids;
  for (const PhaseRecord& apply : applies) ids.push_back(apply.id);
  postgres::Result rows = co_await tx.run(sql::apply_state_versions, postgres::Params::of(ids));
  std::map<std::string, json::array> states;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    json::object identifier{{"id", rows[i].string("id")}, {"type", "state-versions"}};
    states[rows[i].string("apply_id")].push_back(std::move(identifier));
  }
  std::vector<json::object> documents;
  for (const PhaseRecord& apply : applies) {
    json::object attributes = counts(apply);
    attributes["has-import-list"] = apply.import_list.has_value() && !apply.import_list->empty();
    attributes["log-read-url"] =
        needs_.origin + needs_.urls.path(object::Access::log, Id<Object>(apply.log), object::log_life);
    json::object out{{"id", apply.id}, {"type", "applies"}, {"attributes", std::move(attributes)}};
    out["relationships"] =
        json::object{{"state-versions", json::object{{"data", std::move(states[apply.id])}}}};
    out["links"] = json::object{{"self", "/api/v2/applies/" + apply.id}};
    documents.push_back(std::move(out));
  }
  co_return documents;
}

Task<json::object> Api::apply_document(postgres::Tx& tx, const std::string& id) {
  std::optional<PhaseRecord> apply = co_await find_apply(tx, id);
  if (!apply) throw Error(Code::not_found, "");
  std::vector<json::object> one = co_await apply_documents(tx, {*std::move(apply)});
  co_return std::move(one.front());
}

Task<http::Response> Api::show_plan(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, run_of(request.parameter("id")), workspace::RowLock::no);
  json::object shown = co_await plan_document(tx, request.parameter("id"));
  co_return co_await needs_.includes.answer(request, tx, 200, std::move(shown));
}

Task<http::Response> Api::run_plan(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  json::object shown = co_await plan_document(tx, seen.run.plan);
  co_return co_await needs_.includes.answer(request, tx, 200, std::move(shown));
}

Task<http::Response> Api::redirect_to(postgres::Tx& tx, const std::string& id, const Seen& seen,
                                      std::optional<std::string> PhaseRecord::* of) {
  // A plan's JSON holds what the state holds.
  if (!seen.access.read_state) throw Error(Code::not_found, "");
  std::optional<PhaseRecord> plan = co_await find_plan(tx, id);
  if (!plan) throw Error(Code::not_found, "");
  const std::optional<std::string>& object = *plan.*of;
  http::Response response;
  if (!object) {
    // What a plan that has ended lacks, it will never have.
    if (plan->status == "finished" || plan->status == "errored" || plan->status == "canceled")
      throw Error(Code::not_found, "");
    response.status = 204;
    co_return response;
  }
  response.status = 307;
  response.headers.set(
      "Location", needs_.origin + needs_.urls.path(object::Access::read, Id<Object>(*object), redirect_life));
  co_return response;
}

Task<http::Response> Api::plan_json(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, run_of(request.parameter("id")), workspace::RowLock::no);
  co_return co_await redirect_to(tx, request.parameter("id"), seen, &PhaseRecord::json_object);
}

Task<http::Response> Api::run_plan_json(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  co_return co_await redirect_to(tx, seen.run.plan, seen, &PhaseRecord::json_object);
}

Task<http::Response> Api::plan_schemas(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, run_of(request.parameter("id")), workspace::RowLock::no);
  co_return co_await redirect_to(tx, request.parameter("id"), seen, &PhaseRecord::schemas_object);
}

Task<http::Response> Api::run_plan_schemas(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  co_return co_await redirect_to(tx, seen.run.plan, seen, &PhaseRecord::schemas_object);
}

Task<http::Response> Api::show_apply(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, run_of(request.parameter("id")), workspace::RowLock::no);
  json::object shown = co_await apply_document(tx, request.parameter("id"));
  co_return co_await needs_.includes.answer(request, tx, 200, std::move(shown));
}

Task<http::Response> Api::run_apply(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, request.parameter("id"), workspace::RowLock::no);
  json::object shown = co_await apply_document(tx, seen.run.apply);
  co_return co_await needs_.includes.answer(request, tx, 200, std::move(shown));
}

Task<http::Response> Api::import_list(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, run_of(request.parameter("id")), workspace::RowLock::no);
  if (!seen.access.read_state) throw Error(Code::not_found, "");
  std::optional<PhaseRecord> apply = co_await find_apply(tx, request.parameter("id"));
  if (!apply || !apply->import_list || apply->import_list->empty()) throw Error(Code::not_found, "");
  http::Response response;
  response.headers.set("Content-Type", "text/plain; charset=utf-8");
  response.body = *apply->import_list;
  co_return response;
}

Task<http::Response> Api::errored_state(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  Seen seen = co_await require(tx, request, run_of(request.parameter("id")), workspace::RowLock::no);
  if (!seen.access.read_state) throw Error(Code::not_found, "");
  postgres::Result rows =
      co_await tx.run(sql::apply_errored_state, postgres::Params::of(request.parameter("id")));
  if (rows.empty()) throw Error(Code::not_found, "");
  http::Response response;
  response.status = 307;
  response.headers.set(
      "Location", needs_.origin + needs_.urls.path(object::Access::read,
                                                   Id<Object>(rows[0].string("object_id")), redirect_life));
  co_return response;
}

}  // namespace terrane::run
