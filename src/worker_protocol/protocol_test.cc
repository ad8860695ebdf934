#include "worker_protocol/protocol.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace terrane::worker_protocol {
namespace {

Job sample() {
  Job job;
  job.id = "job-1";
  job.run = "run-1";
  job.workspace = "ws-1";
  job.workspace_name = "net";
  job.organization = "acme";
  job.lease = "lease";
  job.phase = Phase::apply;
  job.attempt = 2;
  job.epoch = 3;
  job.engine = "opentofu";
  job.engine_version = "1.12.6";
  job.configuration_path = "/c";
  job.targets = {"a.b", "c.d[\"x\"]"};
  job.variables.push_back({"k", Secret(std::string("v\0w", 3)), true, false});
  job.environment = {{"TFC_RUN_ID", "run-1"}};
  job.hostname = "localhost:9443";
  job.run_token = Secret("t");
  job.log_object = "obj-1";
  job.log = {"obj-1", Secret(std::string(32, 'k')), "vault:v1:x"};
  job.slots.push_back({"obj-2", Secret(std::string(32, 'l')), "vault:v1:y"});
  job.cpus = 1.5;
  return job;
}

TEST(Protocol, AJobSurvivesTheWire) {
  json::object first = to_json(sample());
  Job read = job_from_json(json::parse(json::serialize(first)).as_object());
  EXPECT_EQ(json::serialize(to_json(read)), json::serialize(first));
  EXPECT_EQ(read.variables.at(0).value.reveal(), std::string("v\0w", 3));
  EXPECT_EQ(read.slots.at(0).key.reveal(), std::string(32, 'l'));
}

TEST(Protocol, AMissingMemberIsNamed) {
  for (const char* member : {"id", "lease", "phase", "log", "time_limit", "run_token"}) {
    json::object object = to_json(sample());
    object.erase(member);
    try {
      job_from_json(object);
      FAIL() << member;
    } catch (const Error& error) {
      EXPECT_NE(error.detail().find(member), std::string::npos) << error.detail();
    }
  }
}

TEST(Protocol, AnOutcomeSurvivesTheWire) {
  Outcome outcome;
  outcome.ending = Ending::canceled;
  outcome.error = "memory limit";
  outcome.additions = 3;
  outcome.import_list = "import {}";
  EXPECT_EQ(json::serialize(to_json(outcome_from_json(to_json(outcome)))), json::serialize(to_json(outcome)));
  EXPECT_EQ(outcome_from_json(to_json(outcome)).changes, std::nullopt);
}

}  // namespace
}  // namespace terrane::worker_protocol
