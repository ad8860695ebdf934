#include "run/job_api.h"

#include "api/api.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/random.h"
#include "run/jobs_sql.h"
#include "run/run_sql.h"
#include "state/state.h"

namespace terrane::run {
namespace {

constexpr std::size_t slots_per_claim = 8;
constexpr std::size_t reserve_size = 48;

/// The node that asks, from its certificate.
const std::string& node_of(const http::Request& request) {
  if (request.client_name.empty())
    throw Error(Code::unauthorized, "The job API is for worker nodes with a certificate.");
  return request.client_name;
}

JobRecord job_from_row(const postgres::Row& row) {
  JobRecord job;
  job.id = Id<JobRecord>(row.string("id"));
  job.run = row.string("run_id");
  job.workspace = row.string("workspace_id");
  job.phase = row.string("phase");
  job.status = row.string("status");
  job.attempt = row.integer("attempt");
  job.beat = row.integer("beat");
  job.epoch = row.integer("epoch");
  job.log_segment = row.integer("log_segment");
  job.lease = row.opt_string("lease");
  job.node = row.opt_string("node_id");
  job.wish = row.opt_string("wish");
  return job;
}

http::Response json_answer(const json::object& object) {
  http::Response response;
  response.headers.set("Content-Type", "application/json");
  response.body = json::serialize(object);
  return response;
}

/// Whether a node's text can be an object's id; it becomes part of a path that archivist reads.
bool is_object_id(std::string_view text) {
  auto plain = [](unsigned char c) { return std::isalnum(c) != 0; };
  return text.starts_with("obj-") && text.size() > 4 && text.size() <= 64 &&
         std::ranges::all_of(text.substr(4), plain);
}

/// A job that no worker can get: it would stand before all others for ever.
class Unclaimable : public Error {
 public:
  explicit Unclaimable(std::string detail) : Error(Code::internal, std::move(detail)) {}
};

[[noreturn]] void lease_closed() { throw Error(Code::conflict, "The lease of this job is closed."); }

std::vector<std::string> strings_of(const json::object& body, std::string_view name) {
  std::vector<std::string> out;
  if (const json::array* list = find_array(body, name)) {
    for (const json::value& item : *list) {
      if (item.is_string()) out.emplace_back(item.get_string());
    }
  }
  return out;
}

}  // namespace

void JobApi::add_routes(http::Router& router) {
  using http::Method;
  auto row = [&](Method method, const char* pattern, http::Handler handler,
                 std::size_t limit = 4 * 1024 * 1024) {
    router.add({method, pattern, std::move(handler), limit, false});
  };
  row(Method::get, "/job/v1/ping", api::bind<&JobApi::ping>(this));
  row(Method::post, "/job/v1/nodes/:node", api::bind<&JobApi::register_node>(this));
  row(Method::post, "/job/v1/claims", api::bind<&JobApi::claim>(this));
  row(Method::post, "/job/v1/jobs/:id/beats", api::bind<&JobApi::beat>(this));
  row(Method::post, "/job/v1/jobs/:id/slots", api::bind<&JobApi::slots>(this));
  row(Method::post, "/job/v1/jobs/:id/log", api::bind<&JobApi::log>(this));
  row(Method::put, "/job/v1/jobs/:id/objects/:object", api::bind<&JobApi::put_object>(this),
      std::size_t{4} << 30);
  row(Method::post, "/job/v1/jobs/:id/states", api::bind<&JobApi::put_state>(this));
  row(Method::post, "/job/v1/jobs/:id/recovered", api::bind<&JobApi::put_state>(this));
  row(Method::post, "/job/v1/jobs/:id/result", api::bind<&JobApi::result>(this));
  row(Method::post, "/job/v1/jobs/:id/lost", api::bind<&JobApi::lost>(this));
}

Task<> JobApi::fill_reserve() {
  if (filling_ || reserve_.size() >= reserve_size) co_return;
  filling_ = true;
  try {
    std::vector<sealed::DataKey> fresh =
        co_await needs_.vault.data_keys(blob_key, reserve_size - reserve_.size());
    for (sealed::DataKey& key : fresh) reserve_.push_back(std::move(key));
  } catch (const Error& error) {
    log::warn("no data keys in reserve", {{"error", error.what()}});
  }
  filling_ = false;
}

Task<std::vector<worker_protocol::Slot>> JobApi::take_slots(std::size_t count) {
  if (reserve_.size() < count) {
    std::vector<sealed::DataKey> fresh = co_await needs_.vault.data_keys(blob_key, count);
    for (sealed::DataKey& key : fresh) reserve_.push_back(std::move(key));
  }
  std::vector<worker_protocol::Slot> slots;
  for (std::size_t i = 0; i < count; ++i) {
    sealed::DataKey key = std::move(reserve_.back());
    reserve_.pop_back();
    slots.push_back({Id<Object>::make().text(), std::move(key.plaintext), std::move(key.wrapped)});
  }
  if (reserve_.size() < reserve_size / 2) net::spawn(needs_.executor, "data key reserve", fill_reserve());
  co_return slots;
}

/// Whether beats would be heard: background asks before it calls anybody silent.
Task<http::Response> JobApi::ping(http::Request& request) {
  node_of(request);
  co_await needs_.database.ping();
  co_return api::no_content();
}

Task<http::Response> JobApi::register_node(http::Request& request) {
  const std::string node = node_of(request);
  if (node != request.parameter("node"))
    throw Error(Code::forbidden, "The certificate is that of another node.");
  json::object body = co_await api::read_object(request);
  std::vector<std::string> jobs = strings_of(body, "jobs");
  std::vector<std::string> kept = strings_of(body, "kept");
  const std::int64_t capacity = std::clamp<std::int64_t>(require_int(body, "capacity"), 0, 10'000);
  postgres::Tx tx = co_await needs_.database.begin();
  postgres::Result registered = co_await tx.run(
      sql::node_register, postgres::Params::of(node, require_string(body, "name"),
                                               require_string(body, "incarnation"), capacity));
  postgres::Result held = co_await tx.run(sql::job_still_held, postgres::Params::of(jobs, node));
  postgres::Result missing = co_await tx.run(sql::job_missing_on_node, postgres::Params::of(node, jobs));
  postgres::Result ended = co_await tx.run(sql::job_runs_ended, postgres::Params::of(kept));
  co_await tx.commit();
  for (std::size_t i = 0; i < missing.size(); ++i) {
    // The node does not know a job that it once claimed: it died before the job's spool was written.
    Loss loss{"The worker was lost before it could start the phase.", "", false};
    co_await losses_.lose(missing[i].string("id"), missing[i].string("lease"), std::move(loss),
                          "node " + node);
  }
  std::set<std::string> open;
  for (std::size_t i = 0; i < held.size(); ++i) open.insert(held[i].string("id"));
  json::array closed;
  for (const std::string& id : jobs) {
    if (!open.contains(id)) closed.push_back(json::value(id));
  }
  // Run directories that the node keeps for an apply which will never come.
  json::array over;
  for (std::size_t i = 0; i < ended.size(); ++i) over.push_back(json::value(ended[i].string("id")));
  co_return json_answer({{"draining", registered[0].boolean("draining")},
                         {"epoch", registered[0].integer("epoch")},
                         {"closed", std::move(closed)},
                         {"ended", std::move(over)}});
}

Task<http::Response> JobApi::claim(http::Request& request) {
  const std::string node = node_of(request);
  json::object body = co_await api::read_object(request);
  std::string woken_by = find_string(body, "woken_by").value_or("");
  while (true) {
    std::optional<http::Response> answer = co_await claim_one(node, woken_by);
    if (answer) co_return *std::move(answer);
  }
}

Task<std::optional<http::Response>> JobApi::claim_one(const std::string& node, const std::string& woken_by) {
  std::string unclaimable, reason;
  {
    postgres::Tx tx = co_await needs_.database.begin();
    postgres::Result draining = co_await tx.run(sql::node_is_draining, postgres::Params::of(node));
    if (draining.empty()) throw Error(Code::conflict, "The node must register before it claims.");
    if (draining[0].boolean("draining")) co_return api::no_content();
    postgres::Result waiting = co_await tx.run(sql::job_next);
    if (waiting.empty()) waiting = co_await tx.run(sql::job_next_locked);
    if (waiting.empty()) co_return api::no_content();
    std::vector<worker_protocol::Slot> slots = co_await take_slots(slots_per_claim + 1);
    std::optional<Run> run = co_await find(tx, waiting[0].string("run_id"));
    if (!run || (run->state() != Status::plan_queued && run->state() != Status::apply_queued)) {
      co_await tx.run(sql::job_cancel_one, postgres::Params::of(waiting[0].string("id")));
      co_await tx.commit();
      co_return std::nullopt;
    }
    std::string lease = crypto::random_text(32);
    postgres::Result claimed = co_await tx.run(
        sql::job_claim,
        postgres::Params::of(waiting[0].string("id"), lease, node, needs_.limits.grace.count()));
    if (claimed.empty()) co_return std::nullopt;
    JobRecord job = job_from_row(claimed[0]);
    bool plan = job.phase == "plan";
    Cause cause{"node " + node,
                plan ? "planning" : "applying",
                {{"job", job.id.text()}, {"attempt", job.attempt}, {"woken_by", woken_by}},
                {}};
    co_await transition(tx, *run, plan ? Event::claim_plan : Event::claim_apply, std::move(cause));
    try {
      worker_protocol::Job order = co_await claimed_job(tx, job, *run, std::move(slots));
      if (order.log_segment > 1) co_await begin_log(needs_.archivist, order.log_object, order.workspace);
      co_await tx.commit();
      co_return json_answer(worker_protocol::to_json(order));
    } catch (const Unclaimable& error) {
      unclaimable = job.id.text();
      reason = error.detail();
    }
  }
  co_await give_up(unclaimable, reason);
  co_return std::nullopt;
}

Task<> JobApi::give_up(const std::string& job_id, const std::string& reason) {
  postgres::Result rows = co_await needs_.database.query(sql::job_find, postgres::Params::of(job_id));
  if (rows.empty()) co_return;
  postgres::Tx tx = co_await needs_.database.begin();
  co_await workspace::find(tx, rows[0].string("workspace_id"), workspace::RowLock::yes);
  std::optional<Run> run = co_await find_locked(tx, rows[0].string("run_id"));
  if (!run) co_return;
  postgres::Result canceled = co_await tx.run(sql::job_cancel_one, postgres::Params::of(job_id));
  if (canceled.affected() == 0) co_return;
  Cause cause{"web", "errored", {{"job", job_id}}, reason};
  co_await transition(tx, *run, Event::fail, std::move(cause));
  co_await tx.commit();
}

Task<std::vector<worker_protocol::Variable>> JobApi::open_variables(const Run& run, json::value frozen,
                                                                    std::optional<std::string> own) {
  std::vector<worker_protocol::Variable> out;
  std::vector<vault_client::Cipher> ciphers;
  for (const json::value& item : frozen.as_array()) {
    const json::object& variable = item.as_object();
    ciphers.push_back({require_string(variable, "sealed"), require_string(variable, "id")});
  }
  std::vector<Secret> values;
  std::optional<Secret> text;
  try {
    if (!ciphers.empty()) values = co_await needs_.vault.decrypt_all("terrane", std::move(ciphers));
    if (own) text = co_await needs_.vault.decrypt("terrane", *own, run.id.text());
  } catch (const Error& error) {
    if (error.code() != Code::internal) throw;
    log::error("the variables of a run do not open", {{"run", run.id.text()}, {"error", error.what()}});
    throw Unclaimable("The run's variables cannot be decrypted with the keys of this installation's vault.");
  }
  std::set<std::string> has_priority;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const json::object& variable = frozen.as_array()[i].as_object();
    if (find_bool(variable, "priority").value_or(false) &&
        require_string(variable, "category") == "terraform")
      has_priority.insert(require_string(variable, "key"));
    out.push_back({require_string(variable, "key"), std::move(values[i]),
                   require_string(variable, "category") == "env",
                   find_bool(variable, "hcl").value_or(false)});
  }
  if (text) {
    const json::value document = parse_json(text->reveal());
    for (const json::value& item : document.as_array()) {
      const json::object& variable = item.as_object();
      if (has_priority.contains(require_string(variable, "key"))) continue;
      // A run's own variables are expressions and win over all but those of sets with priority.
      out.push_back(
          {require_string(variable, "key"), Secret(require_string(variable, "value")), false, true});
    }
  }
  co_return out;
}

Task<worker_protocol::Job> JobApi::claimed_job(postgres::Tx& tx, const JobRecord& record, Run& run,
                                               std::vector<worker_protocol::Slot> slots) {
  std::optional<Workspace> workspace = co_await workspace::find(tx, record.workspace);
  if (!workspace) throw Error(Code::not_found, "");
  postgres::Result inputs =
      co_await tx.run(sql::job_claim_inputs, postgres::Params::of(run.id, record.phase));
  const postgres::Row row = inputs[0];
  auto read_path = [&](const std::string& object) {
    return needs_.urls.path(object::Access::read, Id<Object>(object), object::upload_life);
  };

  worker_protocol::Job job;
  job.id = record.id.text();
  job.run = run.id.text();
  job.workspace = workspace->id.text();
  job.workspace_name = workspace->name;
  job.organization = workspace->organization;
  job.lease = record.lease.value_or("");
  job.phase = *worker_protocol::phase_from(record.phase);
  job.attempt = static_cast<int>(record.attempt);
  job.epoch = record.epoch;
  job.engine = row.opt_string("engine").value_or("opentofu");
  job.engine_version = row.opt_string("engine_version").value_or("");
  job.engine_note = row.opt_string("engine_note").value_or("");
  if (record.attempt > 1 && job.phase == worker_protocol::Phase::plan)
    job.plan_note = "The worker was lost while planning; the plan is run again.";
  job.configuration_path = read_path(row.string("configuration_object"));
  job.working_directory = workspace->working_directory.value_or("");
  if (auto object = row.opt_string("state_object")) {
    job.state_path = read_path(*object);
    job.state_serial = row.integer("state_serial");
    job.state_lineage = row.opt_string("state_lineage").value_or("");
  }
  if (job.phase == worker_protocol::Phase::apply) {
    if (auto object = row.opt_string("plan_object")) job.plan_path = read_path(*object);
  }
  job.destroy = run.is_destroy;
  job.refresh = run.refresh;
  job.refresh_only = run.refresh_only;
  job.allow_empty_apply = run.allow_empty_apply;
  job.structured_output = workspace->structured_run_output_enabled;
  job.targets = run.target_addrs;
  job.replaces = run.replace_addrs;
  job.variables =
      co_await open_variables(run, row.json("frozen_variables"), row.opt_string("sealed_variables"));
  job.environment = {{"TFC_RUN_ID", run.id.text()},
                     {"TFC_WORKSPACE_ID", workspace->id.text()},
                     {"TFC_WORKSPACE_NAME", workspace->name},
                     {"TFC_WORKSPACE_SLUG", workspace->organization + "/" + workspace->name},
                     {"TFC_PROJECT_ID", row.string("project_id")},
                     {"TFC_PROJECT_NAME", row.string("project_name")},
                     {"TFE_RUN_ID", run.id.text()}};
  job.hostname = needs_.hostname;
  // An earlier attempt, or the plan before this apply, needs its token no more.
  co_await user::Tokens::revoke_all(tx, "run", run.id.text());
  user::NewToken token =
      co_await needs_.tokens.create(tx, "run", run.id.text(), std::nullopt, std::nullopt, std::nullopt);
  job.run_token = std::move(token.token);
  job.log_object = row.string("log_id");
  job.log_segment = static_cast<int>(record.log_segment);
  job.log = std::move(slots.back());
  job.log.object = job.log_object;
  slots.pop_back();
  job.slots = std::move(slots);
  job.time_limit =
      job.phase == worker_protocol::Phase::plan ? needs_.limits.plan_time : needs_.limits.apply_time;
  if (auto own = row.opt_integer("organization_seconds")) job.time_limit = std::chrono::seconds(*own);
  job.memory_bytes = needs_.limits.memory_bytes;
  job.cpus = needs_.limits.cpus;
  job.processes = needs_.limits.processes;
  job.disk_bytes = needs_.limits.disk_bytes;
  job.grace = needs_.limits.grace;
  co_return job;
}

Task<JobApi::Leased> JobApi::require_lease(postgres::Tx& tx, const http::Request& request) {
  const std::string& node = node_of(request);
  std::optional<std::string_view> lease = request.headers.find(worker_protocol::lease_header);
  if (!lease || lease->empty())
    throw Error(Code::invalid,
                "The header " + std::string(worker_protocol::lease_header) + " must name the lease.");
  postgres::Result rows =
      co_await tx.run(sql::job_of_lease, postgres::Params::of(request.parameter("id"), *lease));
  if (rows.empty()) lease_closed();
  Leased leased{job_from_row(rows[0]), rows[0].string("log_id"), rows[0].string("status") == "claimed"};
  if (leased.job.node != node) lease_closed();
  co_return leased;
}

Task<http::Response> JobApi::beat(http::Request& request) {
  const std::string& node = node_of(request);
  std::optional<std::string_view> lease = request.headers.find(worker_protocol::lease_header);
  json::object body = co_await api::read_object(request);
  postgres::Result rows = co_await needs_.database.query(
      sql::job_beat,
      postgres::Params::of(request.parameter("id"), lease.value_or(""), require_int(body, "counter"), node));
  if (rows.empty()) lease_closed();
  co_return json_answer({{"wish", rows[0].opt_string("wish").value_or("none")}});
}

Task<http::Response> JobApi::slots(http::Request& request) {
  json::object body = co_await api::read_object(request);
  {
    postgres::Tx tx = co_await needs_.database.begin();
    co_await require_lease(tx, request);
  }
  std::int64_t count = std::clamp<std::int64_t>(require_int(body, "count"), 1, 32);
  std::vector<worker_protocol::Slot> slots = co_await take_slots(static_cast<std::size_t>(count));
  json::array list;
  for (const worker_protocol::Slot& slot : slots) list.push_back(worker_protocol::to_json(slot));
  co_return json_answer({{"slots", std::move(list)}});
}

Task<http::Response> JobApi::log(http::Request& request) {
  std::string bytes = co_await http::read_body(request, 4 * 1024 * 1024);
  std::optional<std::int64_t> position = parse_int(request.query.find("position").value_or(""));
  std::optional<std::int64_t> segment = parse_int(request.query.find("segment").value_or(""));
  if (!position || !segment)
    throw Error(Code::invalid, "The parameters segment and position must be numbers.");
  Leased leased;
  {
    postgres::Tx tx = co_await needs_.database.begin();
    leased = co_await require_lease(tx, request);
  }
  if (!leased.open || *segment != leased.job.log_segment) lease_closed();
  auto appended = co_await needs_.archivist.append_sealed(Id<Object>(leased.log), static_cast<int>(*segment),
                                                          *position, std::move(bytes));
  http::Response response = json_answer({{"size", appended.size}});
  // With a size, 409 tells the shim where to go on; a closed lease has none.
  if (!appended.taken) response.status = 409;
  co_return response;
}

Task<http::Response> JobApi::put_object(http::Request& request) {
  std::optional<std::string_view> kind = request.headers.find(worker_protocol::kind_header);
  static const std::set<std::string_view> kinds{"state", "plan", "plan-json", "schemas"};
  if (!kind || !kinds.contains(*kind))
    throw Error(Code::invalid, "The header X-Terrane-Kind must be state, plan, plan-json or schemas.");
  if (!request.content_length) throw Error(Code::invalid, "The upload needs a Content-Length.");
  Id<Object> object(request.parameter("object"));
  if (!is_object_id(object.text()))
    throw Error(Code::invalid, "An object's id is obj- and letters or digits.");
  {
    postgres::Tx tx = co_await needs_.database.begin();
    // A closed lease may still bring its spool: what it sends is kept, never current by itself.
    Leased leased = co_await require_lease(tx, request);
    co_await object::insert_if_absent(tx, object, *kind, leased.job.workspace);
    co_await tx.commit();
  }
  co_await needs_.archivist.put_sealed(object, *request.body, *request.content_length);
  co_return json_answer({{"object", object.text()}});
}

Task<http::Response> JobApi::put_state(http::Request& request) {
  json::object body = co_await api::read_object(request);
  worker_protocol::State given = worker_protocol::state_from_json(body);
  postgres::Tx tx = co_await needs_.database.begin();
  Leased leased = co_await require_lease(tx, request);
  std::optional<Workspace> workspace =
      co_await workspace::find(tx, leased.job.workspace, workspace::RowLock::yes);
  std::optional<Object> object = co_await object::find(tx, Id<Object>(given.object));
  if (!workspace) throw Error(Code::not_found, "");
  if (!object || object->status != "live" || object->kind != "state" ||
      object->workspace != leased.job.workspace) {
    throw Error(Code::conflict, "The state's object has not been uploaded.");
  }
  std::optional<std::string> lineage;
  if (!given.lineage.empty()) lineage = given.lineage;
  state::FromRun from{leased.job.run, leased.job.id.text(), given.object, {given.serial, lineage, given.md5},
                      given.size,     given.intermediate};
  // The lease is judged with the workspace's row locked: nothing closes it in between.
  Leased again = co_await require_lease(tx, request);
  Id<StateVersion> id;
  if (again.open)
    id = co_await state::add_from_run(tx, *workspace, from);
  else
    id = co_await state::add_recovered(tx, *workspace, from);
  json::object detail{{"state_version", id.text()},
                      {"serial", given.serial},
                      {"intermediate", given.intermediate},
                      {"recovered", !again.open}};
  co_await trace(tx, leased.job.run, "node " + node_of(request), "state", detail);
  co_await tx.commit();
  co_return json_answer({{"id", id.text()}});
}

}  // namespace terrane::run
