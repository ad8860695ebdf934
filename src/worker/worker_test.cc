#include <gmock/gmock.h>

#include "amqp/publisher.h"
#include "shim/spool.h"
#include "testing/test_rabbit.h"
#include "worker/testing/worker_fixture.h"

namespace terrane::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using worker_protocol::Ending;
using worker_protocol::Job;
using worker_protocol::Phase;
using worker_protocol::Wish;

const char* const small_configuration = R"(
terraform {
  cloud {
    organization = "acme"
    workspaces { name = "prod" }
  }
}
variable "text" { default = "from the default" }
variable "list" { default = [] }
resource "terraform_data" "a" { input = "${var.text} in ${terraform.workspace}" }
output "text" { value = terraform_data.a.input }
output "list" { value = var.list }
)";

/// Makes one resource at once and then works on a second one until FILE is there.
std::string slow_configuration(const std::string& file = "/run/terrane/work/go") {
  return R"(
resource "terraform_data" "first" { input = "made" }
resource "terraform_data" "second" {
  input = terraform_data.first.output
  provisioner "local-exec" { command = "echo second is being made; until test -e )" +
         file + R"(; do sleep 0.05; done" }
}
)";
}

TEST_F(WorkerTest, PlansAndAppliesInOneDirectory) {
  start_worker();
  std::string path = configuration("small", {{"main.tf", small_configuration}});
  Job plan = job("job-1", "run-1", Phase::plan, path);
  std::string value = "quoted \"${x}\" %{y}\nsecond line";
  plan.variables = {{"text", Secret("loses"), false, false},
                    {"list", Secret("[1, \"b\"]"), false, true},
                    {"text", Secret(value), false, false}};
  api_.add(plan);
  FakeJob planned = finished("job-1");
  EXPECT_TRUE(planned.outcome->has_changes);
  EXPECT_EQ(planned.outcome->additions, 1);
  EXPECT_EQ(planned.outcome->changes, 0);
  EXPECT_EQ(planned.outcome->destructions, 0);
  EXPECT_EQ(planned.kinds[planned.outcome->plan_object], "plan");
  EXPECT_EQ(planned.kinds[planned.outcome->json_object], "plan-json");
  EXPECT_THAT(api_.plaintext("job-1", planned.outcome->json_object), HasSubstr("\"resource_changes\""));
  EXPECT_TRUE(planned.states.empty());
  std::string log = api_.log_text("job-1");
  EXPECT_EQ(log.find("\x02OpenTofu v1.12.6\non linux_amd64\nInitializing plugins and modules...\n"), 0u)
      << log;
  EXPECT_THAT(log, HasSubstr("Plan: 1 to add, 0 to change, 0 to destroy."));
  EXPECT_EQ(log.find('\x03'), log.size() - 1) << "the end mark stands once, at the end";
  EXPECT_EQ(log.rfind('\x02'), 0u);

  Job apply = job("job-2", "run-1", Phase::apply, path);
  apply.workspace = plan.workspace;
  apply.plan_path = "/inputs/never-asked-for";
  api_.add(apply);
  FakeJob applied = finished("job-2");
  EXPECT_EQ(api_.fetched(path), 1) << "the apply goes on in the plan's directory";
  EXPECT_EQ(applied.outcome->additions, 1);
  ASSERT_FALSE(applied.states.empty());
  EXPECT_FALSE(applied.states.back().intermediate);
  std::string state = api_.plaintext("job-2", applied.states.back().object);
  const json::object outputs = parse_json(state).at("outputs").as_object();
  EXPECT_EQ(outputs.at("text").at("value").as_string(), value + " in prod");
  EXPECT_EQ(json::serialize(outputs.at("list").at("value")), "[1,\"b\"]");
  EXPECT_EQ(applied.states.back().size, static_cast<std::int64_t>(state.size()));
  EXPECT_THAT(api_.log_text("job-2"),
              HasSubstr("Apply complete! Resources: 1 added, 0 changed, 0 destroyed."));
  EXPECT_EQ(api_.log_text("job-2").back(), '\x03');
  EXPECT_EQ(applied.calls.back(), "result") << "nothing comes after the result";

  EXPECT_TRUE(eventually([&] { return list().empty(); })) << "the run directory is released";
  EXPECT_TRUE(std::filesystem::is_empty(data() / "spool"));
  EXPECT_TRUE(std::filesystem::is_empty(data() / "kept"));
}

TEST_F(WorkerTest, AppliesElsewhereWithAnExistingState) {
  start_worker();
  std::string path = configuration(
      "elsewhere", {{"app/main.tf", small_configuration}, {"app/terraform.tfstate", "left behind"}});
  std::string before =
      R"({"version":4,"terraform_version":"1.12.6","serial":7,"lineage":"be0effdf-c242-4f02-b76d-dd0c0941c051",)"
      R"("outputs":{},"resources":[],"check_results":null})";
  api_.serve("/inputs/state", before);
  Job plan = job("job-1", "run-1", Phase::plan, path);
  plan.working_directory = "app";
  plan.state_path = "/inputs/state";
  plan.state_serial = 7;
  plan.state_lineage = "be0effdf-c242-4f02-b76d-dd0c0941c051";
  api_.add(plan);
  FakeJob planned = finished("job-1");
  ASSERT_TRUE(eventually([&] {
    return std::filesystem::exists(data() / "kept/run-1.json") && !std::filesystem::exists(spool_of("job-1"));
  }));
  std::filesystem::remove(data() / "kept/run-1.json");  // as on a node that did not plan
  api_.serve("/inputs/plan", api_.plaintext("job-1", planned.outcome->plan_object));
  Job apply = plan;
  apply.id = "job-2";
  apply.phase = Phase::apply;
  apply.lease = "lease-2";
  apply.plan_path = "/inputs/plan";
  api_.add(apply);
  FakeJob applied = finished("job-2");
  EXPECT_EQ(api_.fetched(path), 2);
  ASSERT_EQ(applied.states.size(), 1u);
  EXPECT_EQ(applied.states[0].lineage, plan.state_lineage);
  EXPECT_EQ(applied.states[0].serial, 8);
}

TEST_F(WorkerTest, SaysWhatIsWrongWithAConfiguration) {
  start_worker();
  std::string broken = configuration("broken", {{"main.tf", "resource \"terraform_data\" \"a\" {\n"}});
  std::string failing = configuration("failing", {{"main.tf",
                                                   "data \"terraform_remote_state\" \"x\" {\n  backend = "
                                                   "\"local\"\n  config = { path = \"nowhere\" }\n}\n"}});
  std::string nowhere = configuration("nowhere", {{"main.tf", ""}});
  api_.serve("/inputs/bad", "no archive");
  api_.add(job("job-broken", "run-1", Phase::plan, broken));
  api_.add(job("job-failing", "run-2", Phase::plan, failing));
  api_.add(job("job-bad", "run-3", Phase::plan, "/inputs/bad"));
  Job wrong_directory = job("job-nowhere", "run-4", Phase::plan, nowhere);
  wrong_directory.working_directory = "missing";
  api_.add(wrong_directory);
  Job wrong_engine = job("job-engine", "run-5", Phase::plan, nowhere);
  wrong_engine.engine_version = "0.0.1";
  api_.add(wrong_engine);
  std::map<std::string, std::string> wanted = {
      {"job-broken", "Unclosed configuration block"},
      {"job-failing", "Unable to find remote state"},
      {"job-bad", "no valid tar.gz archive"},
      {"job-nowhere", "The working directory \"missing\" is not in the configuration."},
      {"job-engine", "The engine opentofu 0.0.1 is not in this node's store."}};
  for (const auto& [id, text] : wanted) {
    FakeJob ended = over(id);
    ASSERT_TRUE(ended.outcome) << id;
    EXPECT_EQ(ended.outcome->ending, Ending::errored) << id;
    EXPECT_FALSE(ended.outcome->error.empty()) << id;
    EXPECT_THAT(api_.log_text(id), HasSubstr(text)) << id;
    EXPECT_EQ(api_.log_text(id).back(), '\x03') << id;
  }
}

TEST_F(WorkerTest, AnApplyGoesOnThroughAnOutage) {
  start_worker();
  Job apply = planned("run-1", configuration("slow", {{"main.tf", slow_configuration()}}));
  api_.add(apply);
  ASSERT_TRUE(log_has(apply.id, "second is being made"));
  std::filesystem::path directory = data();
  api_.set_outage(true);
  std::optional<sandbox::PhaseInfo> phase = phase_of(apply.id);
  ASSERT_TRUE(phase);
  // The engine ends while nobody answers; the shim has everything in its spool and stays.
  std::ofstream(directory_ / "run/runs/run-1/work/go") << "";
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(spool_of(apply.id) / "result.json"); }));
  EXPECT_FALSE(api_.get(apply.id).over());
  EXPECT_EQ(kill(phase->shim, 0), 0);
  api_.set_outage(false);
  FakeJob applied = finished(apply.id);
  EXPECT_EQ(applied.outcome->additions, 2);
  ASSERT_FALSE(applied.states.empty());
  std::string log = api_.log_text(apply.id);
  EXPECT_THAT(log, HasSubstr("Apply complete! Resources: 2 added"));
  EXPECT_EQ(log.back(), '\x03');
}

TEST_F(WorkerTest, AKilledWorkersPhasesAreTakenUp) {
  start_worker();
  Job apply = planned("run-1", configuration("slow", {{"main.tf", slow_configuration()}}));
  api_.add(apply);
  ASSERT_TRUE(log_has(apply.id, "second is being made"));
  stop_worker(SIGKILL);
  int beats = api_.get(apply.id).beats;
  std::filesystem::create_directories(data() / "spool/.new-job-9");  // it died while it made a spool
  start_worker();
  EXPECT_TRUE(eventually([&] { return !std::filesystem::exists(data() / "spool/.new-job-9"); }));
  EXPECT_TRUE(eventually([&] { return api_.reported() == std::vector<std::string>{apply.id}; }))
      << "the new worker counts it as its own";
  EXPECT_TRUE(eventually([&] { return api_.get(apply.id).beats > beats; })) << "the shim beats on";
  std::ofstream(directory_ / "run/runs/run-1/work/go") << "";
  FakeJob applied = finished(apply.id);
  EXPECT_EQ(applied.outcome->additions, 2);
  EXPECT_TRUE(eventually([&] { return list().empty() && api_.reported().empty(); }));
}

TEST_F(WorkerTest, APhaseThatEndsWithoutAWorkerIsClearedUpByTheNext) {
  start_worker();
  Job apply = planned("run-1", configuration("slow", {{"main.tf", slow_configuration()}}));
  api_.add(apply);
  ASSERT_TRUE(log_has(apply.id, "second is being made"));
  EXPECT_EQ(stop_worker(SIGTERM), 0) << "a worker that is asked to end leaves at once";
  kill_shim(apply.id);
  ASSERT_TRUE(eventually([&] { return phase_of(apply.id)->processes == 0; }))
      << "the engine ends by the interrupt of pid 1";
  start_worker();
  FakeJob lost = over(apply.id);
  ASSERT_TRUE(lost.lost);
  EXPECT_TRUE(lost.lost->at("started").as_bool());
  ASSERT_FALSE(lost.states.empty());
  EXPECT_TRUE(eventually([&] { return list().empty() && !std::filesystem::exists(spool_of(apply.id)); }));
}

TEST_F(WorkerTest, AnApplyWhoseShimIsKilledKeepsWhatTheEngineDid) {
  start_worker();
  Job apply = planned("run-1", configuration("slow", {{"main.tf", slow_configuration()}}));
  api_.add(apply);
  ASSERT_TRUE(log_has(apply.id, "second is being made"));
  kill_shim(apply.id);
  ASSERT_TRUE(eventually([&] { return !phase_of(apply.id) || phase_of(apply.id)->processes == 0; }));
  FakeJob lost = over(apply.id, 10);
  ASSERT_TRUE(lost.lost) << "ten seconds after the last process is gone";
  EXPECT_TRUE(lost.lost->at("started").as_bool());
  ASSERT_FALSE(lost.states.empty());
  EXPECT_FALSE(lost.states.back().intermediate);
  std::string state = api_.plaintext(apply.id, lost.states.back().object);
  std::string imports(lost.lost->at("import_list").as_string());
  bool first = state.find("\"first\"") != std::string::npos ||
               imports.find("terraform_data.first") != std::string::npos;
  EXPECT_TRUE(first) << state << imports;
  EXPECT_THAT(api_.log_text(apply.id), HasSubstr("second is being made"));
  EXPECT_EQ(lost.calls.back(), "lost") << "the order is state, log, then the phase's end";
}

// An engine that is killed before it wrote its state: only its events know what it made.
TEST_F(WorkerTest, ResourcesThatNoStateHasAreListedForImport) {
  start_worker();
  Job apply = planned("run-1", configuration("slow", {{"main.tf", slow_configuration()}}));
  api_.add(apply);
  ASSERT_TRUE(log_has(apply.id, "second is being made"));
  // Stopped, so that the order of the deaths is ours: the engine ends first, and the shim does not see it.
  kill(worker_pid_, SIGSTOP);
  kill(phase_of(apply.id).value().shim, SIGSTOP);
  EXPECT_GE(kill_engine("apply"), 1);
  kill_shim(apply.id);
  kill(worker_pid_, SIGCONT);
  FakeJob ended = over(apply.id, 20);
  ASSERT_TRUE(ended.lost);
  std::string imports(ended.lost->at("import_list").as_string());
  EXPECT_THAT(imports, HasSubstr("import {\n  to = terraform_data.first\n  id = \""));
  EXPECT_THAT(imports, Not(HasSubstr("terraform_data.second")));
  EXPECT_TRUE(ended.states.empty()) << "there was none: nothing empty or half may be saved";
}

TEST_F(WorkerTest, AKilledEngineEndsAnApplyWithAnImportList) {
  start_worker();
  Job apply = planned("run-1", configuration("slow", {{"main.tf", slow_configuration()}}));
  api_.add(apply);
  ASSERT_TRUE(log_has(apply.id, "second is being made"));
  EXPECT_GE(kill_engine("apply"), 1);
  FakeJob ended = over(apply.id);
  ASSERT_TRUE(ended.outcome);
  EXPECT_EQ(ended.outcome->ending, Ending::errored);
  EXPECT_EQ(ended.outcome->error, "The engine was ended by signal 9.");
  EXPECT_THAT(ended.outcome->import_list, HasSubstr("to = terraform_data.first\n"));
}

// The engine writes each line of a provisioner into its events, too: they are more than the directory may
// hold.
TEST_F(WorkerTest, ALoudApplyFillsNeitherItsDirectoryNorForgetsWhatItMade) {
  start_worker();
  std::string text = R"(
resource "terraform_data" "first" { input = "made" }
resource "terraform_data" "loud" {
  input = terraform_data.first.output
  provisioner "local-exec" {
    command = "line=$(head -c 16000 /dev/zero | tr '\\0' x); for i in $(seq 800); do echo $line; done"
  }
}
resource "terraform_data" "second" {
  input = terraform_data.loud.output
  provisioner "local-exec" { command = "echo second is being made; sleep 60" }
}
)";
  Job apply = planned("run-1", configuration("loud", {{"main.tf", text}}));
  apply.disk_bytes = 16 << 20;
  ASSERT_TRUE(eventually([&] {
    return std::filesystem::exists(data() / "kept/run-1.json") &&
           !std::filesystem::exists(spool_of("plan-run-1"));
  }));
  std::filesystem::remove(data() / "kept/run-1.json");  // a new directory, of that size
  api_.add(apply);
  ASSERT_TRUE(eventually([&] { return api_.log_text(apply.id).size() > 12'800'000; }, 60));
  ASSERT_TRUE(log_has(apply.id, "second is being made"));
  EXPECT_THAT(api_.log_text(apply.id), Not(HasSubstr("no space left")));
  EXPECT_GE(kill_engine("apply"), 1);
  FakeJob ended = over(apply.id);
  ASSERT_TRUE(ended.outcome);
  EXPECT_EQ(ended.outcome->error, "The engine was ended by signal 9.");
  EXPECT_THAT(ended.outcome->import_list, HasSubstr("to = terraform_data.first\n"));
  EXPECT_THAT(ended.outcome->import_list, HasSubstr("to = terraform_data.loud\n"));
}

TEST_F(WorkerTest, AKilledEngineOfAPlanIsRunAgain) {
  start_worker();
  // A plan that takes some seconds.
  std::string path = configuration("long", {{"main.tf", "output \"x\" { value = bcrypt(\"x\", 17) }\n"}});
  api_.add(job("job-1", "run-1", Phase::plan, path));
  ASSERT_TRUE(eventually([&] { return kill_engine("plan") > 0; }));
  FakeJob ended = over("job-1");
  ASSERT_TRUE(ended.lost);
  EXPECT_TRUE(ended.lost->at("started").as_bool());
  EXPECT_EQ(ended.lost->at("error").as_string(), "The engine was ended by signal 9.");
  std::string log = api_.log_text("job-1");
  EXPECT_THAT(log, HasSubstr("The engine was ended by signal 9."));
  EXPECT_EQ(log.find('\x03'), std::string::npos) << "the log goes on in the next attempt";
  EXPECT_TRUE(eventually([&] { return list().empty() && !std::filesystem::exists(spool_of("job-1")); }));
}

// A record of a kept directory that is gone, as after a restart of the machine.
TEST_F(WorkerTest, AKeptDirectoryThatIsGoneIsMadeAnew) {
  start_worker();
  std::string path = configuration("small", {{"main.tf", small_configuration}});
  Job apply = planned("run-1", path);
  ASSERT_TRUE(eventually([&] {
    return std::filesystem::exists(data() / "kept/run-1.json") &&
           !std::filesystem::exists(spool_of("plan-run-1"));
  }));
  ASSERT_TRUE(eventually([&] { return phase_of("plan-run-1")->ended; }));
  await(client().release("run-1"));
  api_.add(apply);
  finished(apply.id);
  EXPECT_EQ(api_.fetched(path), 2);
}

TEST_F(WorkerTest, APlanWhoseShimIsKilledMayBeRunAgain) {
  start_worker();
  std::string path = configuration("small", {{"main.tf", small_configuration}});
  Job plan = job("job-1", "run-1", Phase::plan, path);
  api_.hold(path, true);  // so that it is killed in the middle
  api_.add(plan);
  ASSERT_TRUE(eventually([&] {
    return std::filesystem::exists(spool_of("job-1") / "started") && phase_of("job-1")->processes > 0;
  }));
  kill_shim("job-1");
  FakeJob ended = over("job-1");
  ASSERT_TRUE(ended.lost);
  EXPECT_TRUE(ended.lost->at("started").as_bool());
  EXPECT_TRUE(ended.states.empty());
  api_.hold(path, false);
  Job again = plan;
  again.id = "job-2";
  again.attempt = 2;
  again.log_segment = 2;
  again.lease = "lease-2";
  again.plan_note = "The plan is run again.";
  api_.add(again);
  finished("job-2");
  std::string log = api_.log_text("job-2");
  EXPECT_EQ(log.find('\x02'), std::string::npos) << "the log goes on";
  EXPECT_THAT(log, HasSubstr("The plan is run again.\n"));
  EXPECT_EQ(log.back(), '\x03');
}

TEST_F(WorkerTest, AResultInTheSpoolIsReportedForADeadShim) {
  start_worker();
  std::string path = configuration("small", {{"main.tf", small_configuration}});
  api_.hold("/job/v1/jobs/job-1/result", true);
  api_.add(job("job-1", "run-1", Phase::plan, path));
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(spool_of("job-1") / "result.json"); }));
  kill_shim("job-1");
  api_.hold("/job/v1/jobs/job-1/result", false);
  FakeJob planned = finished("job-1");
  EXPECT_EQ(planned.outcome->additions, 1);
  EXPECT_THAT(api_.plaintext("job-1", planned.outcome->json_object), HasSubstr("resource_changes"));
  std::string log = api_.log_text("job-1");
  EXPECT_EQ(log.find('\x03'), log.size() - 1) << "the end mark is there, once";
}

TEST_F(WorkerTest, ACanceledApplyKeepsItsState) {
  start_worker();
  Job apply = planned("run-1", configuration("slow", {{"main.tf", slow_configuration()}}));
  api_.add(apply);
  ASSERT_TRUE(log_has(apply.id, "second is being made"));
  api_.with(apply.id, [](FakeJob& known) { known.wish = Wish::cancel; });
  FakeJob ended = over(apply.id);
  ASSERT_TRUE(ended.outcome);
  EXPECT_EQ(ended.outcome->ending, Ending::canceled);
  ASSERT_FALSE(ended.states.empty());
  EXPECT_FALSE(ended.states.back().intermediate);
  EXPECT_THAT(api_.plaintext(apply.id, ended.states.back().object), HasSubstr("\"first\""));
  EXPECT_THAT(api_.log_text(apply.id), HasSubstr("Interrupt received."));
  EXPECT_EQ(ended.outcome->import_list, "");
}

TEST_F(WorkerTest, AForcedCancelKillsWhatIgnoresTheInterrupt) {
  start_worker();
  std::string stubborn = R"(
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "trap '' INT; echo stubborn; while true; do sleep 1; done" }
}
)";
  Job apply = planned("run-1", configuration("stubborn", {{"main.tf", stubborn}}));
  api_.add(apply);
  ASSERT_TRUE(log_has(apply.id, "stubborn"));
  api_.with(apply.id, [](FakeJob& known) { known.wish = Wish::force_cancel; });
  FakeJob ended = over(apply.id, 8);
  ASSERT_TRUE(ended.outcome);
  EXPECT_EQ(ended.outcome->ending, Ending::canceled);
  EXPECT_TRUE(eventually([&] { return list().empty(); }));
}

TEST_F(WorkerTest, ATimeLimitIsNamed) {
  start_worker();
  Job apply = planned("run-1", configuration("slow", {{"main.tf", slow_configuration()}}));
  apply.time_limit = std::chrono::seconds(1);
  api_.add(apply);
  FakeJob ended = over(apply.id);
  ASSERT_TRUE(ended.outcome);
  EXPECT_EQ(ended.outcome->ending, Ending::errored);
  EXPECT_EQ(ended.outcome->error, "The apply exceeded its time limit of 1 s.");
  EXPECT_THAT(api_.log_text(apply.id), HasSubstr("The apply exceeded its time limit of 1 s."));
}

TEST_F(WorkerTest, ASilentControlPlaneEndsAnApplyBeforeItsLockIsFree) {
  start_worker();
  Job apply = planned("run-1", configuration("slow", {{"main.tf", slow_configuration()}}));
  apply.grace = std::chrono::seconds(6);
  api_.add(apply);
  ASSERT_TRUE(log_has(apply.id, "second is being made"));
  api_.set_outage(true);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(spool_of(apply.id) / "result.json"); }));
  api_.set_outage(false);
  FakeJob ended = over(apply.id);
  ASSERT_TRUE(ended.outcome);
  EXPECT_EQ(ended.outcome->ending, Ending::errored);
  EXPECT_THAT(ended.outcome->error, HasSubstr("did not answer"));
  ASSERT_FALSE(ended.states.empty());
}

TEST_F(WorkerTest, AClosedLeaseStopsTheEngineAndItsStateIsRecovered) {
  start_worker();
  Job apply = planned("run-1", configuration("slow", {{"main.tf", slow_configuration()}}));
  api_.add(apply);
  ASSERT_TRUE(log_has(apply.id, "second is being made"));
  api_.with(apply.id, [](FakeJob& known) { known.closed = true; });
  ASSERT_TRUE(eventually([&] { return !api_.get(apply.id).recovered.empty(); }));
  EXPECT_TRUE(eventually([&] { return list().empty() && !std::filesystem::exists(spool_of(apply.id)); }));
  FakeJob ended = api_.get(apply.id);
  EXPECT_FALSE(ended.over());
  EXPECT_TRUE(ended.states.empty()) << "nothing becomes current under a closed lease";
  EXPECT_THAT(api_.plaintext(apply.id, ended.recovered.back().object), HasSubstr("\"first\""));
}

TEST_F(WorkerTest, ADrainingNodeTakesNothing) {
  api_.set_draining(true);
  start_worker();
  ASSERT_TRUE(eventually([&] { return api_.reported().empty() && api_.claims() == 0; }));
  api_.add(job("job-1", "run-1", Phase::plan, configuration("small", {{"main.tf", small_configuration}})));
  EXPECT_FALSE(api_.get("job-1").claimed);
  api_.set_draining(false);
  finished("job-1");
}

TEST_F(WorkerTest, KeepsAtMostSoManyDirectories) {
  settings_["keep_count"] = 1;
  start_worker();
  std::string path = configuration("small", {{"main.tf", small_configuration}});
  for (int i = 1; i <= 2; ++i) planned("run-" + std::to_string(i), path);
  stop_worker(SIGTERM);
  start_worker();  // the sweep is the first thing that it does
  EXPECT_TRUE(
      eventually([&] { return !std::filesystem::exists(data() / "kept/run-1.json") && list().size() == 1; }));
  EXPECT_TRUE(std::filesystem::exists(data() / "kept/run-2.json"));
}

TEST_F(WorkerTest, StructuredOutputIsTheEventsOfTheEngine) {
  start_worker();
  std::string path = configuration("small", {{"main.tf", small_configuration}});
  Job plan = job("job-1", "run-1", Phase::plan, path);
  plan.structured_output = true;
  api_.add(plan);
  FakeJob planned = finished("job-1");
  EXPECT_THAT(api_.log_text("job-1"), HasSubstr("\"type\":\"change_summary\""));
  EXPECT_THAT(api_.plaintext("job-1", planned.outcome->schemas_object), HasSubstr("\"provider_schemas\""));
  Job apply = plan;
  apply.id = "job-2";
  apply.phase = Phase::apply;
  apply.lease = "lease-2";
  api_.add(apply);
  FakeJob applied = finished("job-2");
  EXPECT_EQ(applied.outcome->additions, 1);
  EXPECT_THAT(api_.log_text("job-2"), HasSubstr("\"type\":\"apply_complete\""));
  EXPECT_EQ(api_.log_text("job-2").back(), '\x03');
}

TEST_F(WorkerTest, ALimitThatWasHitIsNamed) {
  start_worker();
  std::string hungry = R"(
resource "terraform_data" "a" {
  provisioner "local-exec" { command = "dd if=/dev/zero of=/run/terrane/work/big bs=1M count=400" }
}
)";
  Job apply = planned("run-1", configuration("hungry", {{"main.tf", hungry}}));
  api_.add(apply);
  FakeJob ended = over(apply.id);
  ASSERT_TRUE(ended.outcome);
  EXPECT_EQ(ended.outcome->ending, Ending::errored);
  EXPECT_THAT(ended.outcome->error, HasSubstr("The apply failed.")) << api_.log_text(apply.id);
  EXPECT_GT(ended.outcome->error.size(),
            std::string("The apply failed. The log has the engine's message.").size());
  ASSERT_FALSE(ended.states.empty()) << "room was kept for what the engine did";
  EXPECT_THAT(api_.plaintext(apply.id, ended.states.back().object), HasSubstr("terraform_data"));
  std::string limit = ended.outcome->error.substr(0, ended.outcome->error.find(" The apply failed."));
  EXPECT_THAT(api_.log_text(apply.id), HasSubstr(limit));
}

// Hostile configurations put links where shim and worker look for the engine's files.
TEST_F(WorkerTest, LinksInARunDirectoryLeadNowhere) {
  start_worker();
  std::ofstream(data() / "node.key") << R"({"version":4,"serial":99,"lineage":"x","secret":"of the node"})";
  std::string hostile =
      R"(
resource "terraform_data" "a" {
  provisioner "local-exec" {
    command = "cd /run/terrane; ln -sf )" +
      (data() / "node.key").string() +
      R"( work/terraform.tfstate.d/prod/terraform.tfstate; rm -f home/terrane.events; ln -s )" +
      (data() / "node.key").string() + R"( home/terrane.events; echo linked"
  }
}
)";
  Job apply = planned("run-1", configuration("hostile", {{"main.tf", hostile}}));
  api_.add(apply);
  FakeJob ended = over(apply.id);
  EXPECT_THAT(api_.log_text(apply.id), HasSubstr("linked"));
  for (const auto& [object, bytes] : ended.objects) {
    EXPECT_THAT(api_.plaintext(apply.id, object), Not(HasSubstr("of the node")));
  }
  if (ended.outcome) EXPECT_THAT(ended.outcome->import_list, Not(HasSubstr("of the node")));
}

TEST_F(WorkerTest, MoreJobsThanSlotsAllEnd) {
  settings_["capacity"] = 2;
  start_worker();
  std::string path = configuration("small", {{"main.tf", small_configuration}});
  for (int i = 0; i < 5; ++i)
    api_.add(job("job-" + std::to_string(i), "run-" + std::to_string(i), Phase::plan, path));
  for (int i = 0; i < 5; ++i) finished("job-" + std::to_string(i));
}

TEST_F(WorkerTest, MessagesAloneWakeIt) {
  testing::TestRabbit& rabbit = testing::TestRabbit::shared();
  settings_["look_ms"] = 0;
  settings_["queue"] = {{"port", rabbit.port()},
                        {"user", rabbit.user()},
                        {"password", rabbit.password()},
                        {"vhost", rabbit.vhost()}};
  start_worker();
  ASSERT_TRUE(eventually([&] { return api_.claims() >= 2; }))
      << "one look at the start, one when the queue is consumed";
  std::string path = configuration("small", {{"main.tf", small_configuration}});
  amqp::Options options;
  options.port = rabbit.port();
  options.user = rabbit.user();
  options.password = Secret(rabbit.password());
  options.vhost = rabbit.vhost();
  for (int i = 0; i < 3; ++i) {
    std::string id = "job-" + std::to_string(i);
    api_.add(job(id, "run-" + std::to_string(i), Phase::plan, path));
    boost::asio::io_context context(1);
    std::exception_ptr failure;
    {
      amqp::Publisher publisher(context.get_executor(), options);
      net::spawn(context.get_executor(), publisher.publish("terrane.jobs", id),
                 [&](std::exception_ptr error) {
                   failure = error;
                   context.stop();
                 });
      context.run();
    }
    ASSERT_FALSE(failure);
    finished(id);
  }
}

TEST_F(WorkerTest, APlanWithoutChangesSaysSo) {
  start_worker();
  api_.add(job("job-1", "run-1", Phase::plan, configuration("empty", {{"main.tf", ""}})));
  EXPECT_FALSE(finished("job-1").outcome->has_changes);
  api_.add(job("job-2", "run-2", Phase::plan,
               configuration("outputs", {{"main.tf", "output \"o\" { value = 1 }\n"}})));
  FakeJob outputs = finished("job-2");
  EXPECT_TRUE(outputs.outcome->has_changes) << "a change of outputs alone is one";
  EXPECT_EQ(outputs.outcome->additions, 0);
}

}  // namespace
}  // namespace terrane::worker
