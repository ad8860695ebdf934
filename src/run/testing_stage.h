#pragma once
// What tests of runs share: the API, a scheduler, and worker nodes that ask the job API.
#include "run/api.h"
#include "run/job_api.h"
#include "run/scheduler.h"
#include "state/testing_stage.h"
#include "worker_protocol/protocol.h"

namespace terrane::run::test {

using api::TestAnswer;
using http::Method;
using worker_protocol::Job;

/// A string as a request's body.
class Body : public http::ByteSource {
 public:
  explicit Body(std::string bytes) : bytes_(std::move(bytes)) {}
  Task<std::size_t> read(std::span<char> into) override {
    const std::size_t size = bytes_.copy(into.data(), into.size(), at_);
    at_ += size;
    co_return size;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

struct Stage : state::test::Stage {
  Api runs;
  JobApi jobs;
  http::Router job_router;
  http::Handler front, job_front;
  Scheduler scheduler;
  net::Stop stop;

  Stage(net::Executor on, const testing::TestDatabase& at)
      : state::test::Stage(on, at),
        runs({on, database, vault, urls, state::test::origin, includes}),
        jobs({on, database, vault, archivist, tokens, urls, "terrane.test:9443", {}}),
        scheduler(on, database, false),
        stop(on) {
    runs.add_routes(router);
    jobs.add_routes(job_router);
    auto no_limit = [](const std::string&) -> Task<std::optional<double>> { co_return std::nullopt; };
    auto nobody = [](const std::string&) -> Task<std::optional<api::Principal>> { co_return std::nullopt; };
    auto by_token = [this](const std::string& token) { return tokens.authenticate(token); };
    front = api::handler(router, by_token, no_limit, {});
    job_front = api::handler(job_router, nobody, no_limit, {});
  }
  ~Stage() { stop.request(); }

  /// Registers an engine and two nodes, and starts the scheduler.
  Task<> prepare() {
    co_await state::test::Stage::prepare();
    co_await sql(
        "INSERT INTO terrane.terraform_versions (id, version, engine) VALUES ('tool-1', '1.12.6', "
        "'opentofu'), ('tool-2', '1.9.0', 'terraform')");
    for (const char* node : {"n1", "n2"}) {
      TestAnswer answer = co_await register_node(node);
      if (answer.status != 200) throw std::runtime_error(answer.body);
    }
    net::spawn(executor, "scheduler", scheduler.run(stop));
  }

  // --- People. ---

  /// The document of POST /runs for a workspace.
  json::object new_run(json::object attributes = {}, std::string workspace = "ws-1",
                       std::string configuration = {}) const {
    json::object body = api::test_document("runs", std::move(attributes));
    json::object relations{
        {"workspace", json::object{{"data", json::object{{"type", "workspaces"}, {"id", workspace}}}}}};
    if (!configuration.empty()) {
      relations["configuration-version"] =
          json::object{{"data", json::object{{"type", "configuration-versions"}, {"id", configuration}}}};
    }
    body["data"].as_object()["relationships"] = std::move(relations);
    return body;
  }
  /// Makes a run and returns its id. Each has a message of its own, so that none repeats another.
  Task<std::string> make_run(json::object attributes = {}, std::string workspace = "ws-1") {
    if (!attributes.contains("message")) attributes["message"] = "run " + std::to_string(++made_);
    json::object body = new_run(std::move(attributes), std::move(workspace));
    TestAnswer made = co_await post("/api/v2/runs", std::move(body));
    if (made.status != 201) throw std::runtime_error(made.body);
    co_return made.text("/data/id");
  }
  Task<std::string> status(std::string id) {
    co_return co_await value("SELECT status FROM terrane.runs WHERE id = '" + id + "'");
  }
  /// Waits until a run has the status, waking the scheduler as NOTIFY does.
  Task<> until(std::string id, std::string wanted) {
    net::Clock::time_point end = net::Clock::now() + std::chrono::seconds(10);
    while (true) {
      std::string now = co_await status(id);
      if (now == wanted) co_return;
      if (net::Clock::now() > end) throw std::runtime_error(id + " is " + now + " and not " + wanted);
      scheduler.wake();
      co_await net::sleep_for(std::chrono::milliseconds(5));
    }
  }
  /// Waits until the scheduler has looked at everything once more.
  Task<> settle() {
    co_await sql("UPDATE terrane.workspaces SET lock_kind = NULL, lock_owner = NULL WHERE id = 'ws-9'");
    co_await sql(
        "INSERT INTO terrane.objects (id, kind, workspace_id, workspace) VALUES ('obj-cv9b', "
        "'configuration', 'ws-9', 'ws-9') ON CONFLICT DO NOTHING");
    // A run after all others that the scheduler refuses: when it has ended, the others have been judged.
    const std::string id = "run-probe" + std::to_string(++made_);
    co_await sql(
        "INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, message, terraform_version, "
        "epoch, plan_only) VALUES ('" +
        id +
        "', 'ws-9', 'cv-9', 'm', '0.0.1', 1, true);"
        "INSERT INTO terrane.plans (id, run_id, log_id) VALUES ('plan-" +
        id + "', '" + id +
        "', 'obj-cv9b');"
        "INSERT INTO terrane.applies (id, run_id, log_id) VALUES ('apply-" +
        id + "', '" + id + "', 'obj-cv9b')");
    co_await until(id, "errored");
  }
  /// Who holds the lock of a workspace.
  Task<std::string> lock_owner(std::string workspace = "ws-1") {
    co_return co_await value("SELECT lock_owner FROM terrane.workspaces WHERE id = '" + workspace + "'");
  }

  // --- Nodes. ---

  /// A request of a node, or of nobody with an empty `node`.
  Task<TestAnswer> ask(std::string node, Method method, std::string target, std::string body,
                       std::string lease = {}, std::string kind = {}) {
    http::Request request;
    request.client_name = std::move(node);
    if (!lease.empty()) request.headers.set(worker_protocol::lease_header, lease);
    if (!kind.empty()) request.headers.set(worker_protocol::kind_header, kind);
    co_return co_await send(job_front, request, method, std::move(target), std::move(body));
  }
  /// Sends a request through a handler and leaves out what follows after its answer was sent.
  Task<TestAnswer> send(const http::Handler& handler, http::Request& request, Method method,
                        std::string target, std::string body) {
    request.method = method;
    request.target = target;
    request.path = target.substr(0, target.find('?'));
    if (request.path.size() < target.size())
      request.query = http::Query(std::string_view(target).substr(request.path.size() + 1));
    request.content_length = body.size();
    Body source(std::move(body));
    request.body = &source;
    request.id = "test";
    http::Response response = co_await handler(request);
    TestAnswer out{response.status, {}, response.body, response.headers};
    boost::system::error_code broken;
    out.json = json::parse(out.body, broken);
    if (broken) out.json = nullptr;
    co_return out;
  }
  Task<TestAnswer> register_node(std::string node, std::vector<std::string> known = {}) {
    json::object body{
        {"name", node}, {"incarnation", "i-" + node}, {"capacity", 4}, {"jobs", json::value_from(known)}};
    std::string target = "/job/v1/nodes/" + node;
    co_return co_await ask(node, Method::post, std::move(target), json::serialize(body));
  }
  /// Takes the next job; nothing when there is none.
  Task<std::optional<Job>> claim(std::string node = "n1") {
    TestAnswer answer = co_await ask(std::move(node), Method::post, "/job/v1/claims", "{}");
    if (answer.status == 204) co_return std::nullopt;
    if (answer.status != 200) throw std::runtime_error(answer.body);
    co_return worker_protocol::job_from_json(answer.json.as_object());
  }
  Task<Job> must_claim(std::string node = "n1") {
    std::optional<Job> job = co_await claim(std::move(node));
    if (!job) throw std::runtime_error("no job waits");
    co_return *std::move(job);
  }
  Task<TestAnswer> about(const Job& job, std::string what, json::object body, std::string node = "n1") {
    std::string target = "/job/v1/jobs/" + job.id + "/" + what;
    co_return co_await ask(std::move(node), Method::post, std::move(target), json::serialize(body),
                           job.lease);
  }
  Task<TestAnswer> beat(const Job& job, std::int64_t counter) {
    co_return co_await about(job, "beats", {{"counter", counter}});
  }
  Task<TestAnswer> finish(const Job& job, worker_protocol::Outcome outcome) {
    co_return co_await about(job, "result", worker_protocol::to_json(outcome));
  }
  /// Uploads an object of a job from one of its slots; returns the object's id.
  Task<std::string> put(const Job& job, std::size_t slot, std::string kind, std::string bytes = "sealed") {
    const std::string object = job.slots.at(slot).object;
    std::string target = "/job/v1/jobs/" + job.id + "/objects/" + object;
    TestAnswer answer =
        co_await ask("n1", Method::put, std::move(target), std::move(bytes), job.lease, std::move(kind));
    if (answer.status != 200) throw std::runtime_error(answer.body);
    co_return object;
  }

  static worker_protocol::Outcome planned(bool has_changes = true) {
    worker_protocol::Outcome outcome;
    outcome.ending = worker_protocol::Ending::finished;
    outcome.has_changes = has_changes;
    outcome.additions = has_changes ? 1 : 0;
    outcome.changes = outcome.destructions = outcome.imports = 0;
    return outcome;
  }
  static worker_protocol::Outcome ended(worker_protocol::Ending ending, std::string error = {}) {
    worker_protocol::Outcome outcome;
    outcome.ending = ending;
    outcome.error = std::move(error);
    return outcome;
  }

  /// Brings a new run to `planned`; returns its id.
  Task<std::string> planned_run(json::object attributes = {}) {
    std::string id = co_await make_run(std::move(attributes));
    co_await until(id, "plan_queued");
    Job job = co_await must_claim();
    worker_protocol::Outcome outcome = planned();
    outcome.plan_object = co_await put(job, 0, "plan");
    outcome.json_object = co_await put(job, 1, "plan-json");
    TestAnswer answer = co_await finish(job, outcome);
    if (answer.status != 204) throw std::runtime_error(answer.body);
    co_return id;
  }
  /// Brings a new run to `applying`.
  Task<std::pair<std::string, Job>> applying_run() {
    std::string id = co_await planned_run();
    TestAnswer confirmed = co_await post("/api/v2/runs/" + id + "/actions/apply");
    if (confirmed.status != 202) throw std::runtime_error(confirmed.body);
    co_await until(id, "apply_queued");
    Job job = co_await must_claim();
    co_return std::pair(id, std::move(job));
  }

 private:
  int made_ = 0;
};

inline void run(std::function<Task<>(Stage&)> body) { workspace::test::run_on<Stage>(std::move(body)); }

}  // namespace terrane::run::test
