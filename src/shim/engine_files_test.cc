#include "shim/engine_files.h"

#include <fstream>
#include <gmock/gmock.h>

#include "base/error.h"
#include "base/json.h"
#include "shim/hcl.h"
#include "shim/layout.h"

namespace terrane::shim {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;
using worker_protocol::Job;

TEST(HclString, MeansExactlyTheText) {
  EXPECT_EQ(hcl_string("plain"), R"("plain")");
  EXPECT_EQ(hcl_string("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(hcl_string("1\n2\r\t3"), R"("1\n2\r\t3")");
  EXPECT_EQ(hcl_string("${x} %{if} $x 5% {"), R"("$${x} %%{if} $x 5% {")");
  EXPECT_EQ(hcl_string("\x01"), R"("\u0001")");
  EXPECT_EQ(hcl_string("é"), "\"é\"");
  EXPECT_EQ(hcl_string("ends with $"), R"("ends with $")");
}

TEST(Variables, LaterOnesWinAndExpressionsStayAsTheyAre) {
  std::string text = variables_file({{"region", Secret("eu"), false, false},
                                     {"tags", Secret("{ a = \"x\" }"), false, true},
                                     {"TF_LOG", Secret("debug"), true, false},
                                     {"region", Secret("us\"1"), false, false}});
  EXPECT_EQ(text, "region = \"us\\\"1\"\ntags = { a = \"x\" }\n");
}

TEST(Variables, ANameThatIsNoIdentifierIsRefused) {
  for (const char* name : {"", "1a", "a b", "a=1\nb", "a.b"}) {
    EXPECT_THROW(variables_file({{name, Secret("x"), false, false}}), Error) << name;
  }
  EXPECT_NO_THROW(variables_file({{"_a-1", Secret("x"), false, false}}));
}

TEST(Override, ReplacesEveryBackend) {
  json::value document = parse_json(override_file());
  EXPECT_EQ(json::serialize(document), R"({"terraform":{"backend":{"local":{}}}})");
  EXPECT_THAT(std::string(override_name), testing::EndsWith("_override.tf.json"));
}

TEST(CliConfig, TheStoreServesWhatItHasAndTheRegistriesTheRest) {
  std::filesystem::path store =
      std::filesystem::path(testing::TempDir()) / ("store-" + std::to_string(::getpid()));
  std::filesystem::create_directories(store / "registry.opentofu.org/hashicorp/null/3.2.4");
  std::filesystem::create_directories(store / "registry.terraform.io/hashicorp/null/3.2.4");
  std::ofstream(store / "manifest.json") << "[]";
  std::vector<std::string> stored = stored_providers(store);
  EXPECT_EQ(stored, (std::vector<std::string>{"registry.opentofu.org/hashicorp/null",
                                              "registry.terraform.io/hashicorp/null"}));
  std::string preferring = cli_config(stored, "tfe.example.com:9443", Secret("tok\"en"), true);
  EXPECT_THAT(preferring, HasSubstr("path = \"/run/terrane/providers\""));
  EXPECT_THAT(preferring, HasSubstr("exclude = [\"registry.opentofu.org/hashicorp/null\", "));
  EXPECT_THAT(preferring, HasSubstr("credentials \"tfe.example.com:9443\" {\n  token = \"tok\\\"en\"\n}"));
  EXPECT_THAT(cli_config(stored, "h", Secret("t"), false), Not(HasSubstr("exclude")));
  EXPECT_THAT(cli_config({}, "h", Secret("t"), true), Not(HasSubstr("provider_installation")));
  EXPECT_THAT(cli_config(stored, "h", Secret(), true), Not(HasSubstr("credentials")));
  std::filesystem::remove_all(store);
}

TEST(Environment, AShortCommandSparesItsCollectionUnlessTheWorkspaceSaysHow) {
  Job job;
  job.memory_bytes = 4096;
  std::map<std::string, std::string> environment = {{"PATH", "/usr/bin"}};
  spare_collection(job, environment);
  EXPECT_EQ(environment["GOGC"], "off");
  EXPECT_EQ(environment["GOMEMLIMIT"], "1024");
  environment = {{"GOGC", "50"}};
  spare_collection(job, environment);
  EXPECT_EQ(environment, (std::map<std::string, std::string>{{"GOGC", "50"}}));
}

TEST(Environment, TheWorkspacesVariablesCannotMoveWhatThePlatformNeeds) {
  Job job;
  job.workspace_name = "prod";
  job.environment = {{"TFC_RUN_ID", "run-1"}};
  job.variables = {{"AWS_REGION", Secret("eu"), true, false},
                   {"TF_WORKSPACE", Secret("other"), true, false},
                   {"TF_DATA_DIR", Secret("/tmp/x"), true, false},
                   {"TF_CLI_CONFIG_FILE", Secret("/tmp/x"), true, false},
                   {"A=B", Secret("x"), true, false},
                   {"plain", Secret("x"), false, false}};
  std::map<std::string, std::string> environment = engine_environment(job, cli_config_inside, true);
  EXPECT_EQ(environment["TFC_RUN_ID"], "run-1");
  EXPECT_EQ(environment["AWS_REGION"], "eu");
  EXPECT_EQ(environment["SSL_CERT_FILE"], "/run/terrane/ca-certificates.pem");
  EXPECT_FALSE(engine_environment(job, cli_config_inside, false).contains("SSL_CERT_FILE"));
  EXPECT_EQ(environment["TF_WORKSPACE"], "prod");
  EXPECT_EQ(environment["TF_CLI_CONFIG_FILE"], "/run/terrane/cli.tfrc");
  EXPECT_FALSE(environment.contains("TF_DATA_DIR"));
  EXPECT_FALSE(environment.contains("A=B"));
  EXPECT_FALSE(environment.contains("plain"));
}

TEST(Arguments, EveryOptionOfARunIsPassedOn) {
  Job job;
  job.destroy = true;
  job.refresh = false;
  job.targets = {"a.b", "c.d"};
  job.replaces = {"e.f[\"g\"]"};
  std::vector<std::string> arguments = plan_arguments(job, "/p");
  for (const char* wanted : {"-input=false", "-no-color", "-detailed-exitcode", "-out=/p", "-destroy",
                             "-refresh=false", "-target=a.b", "-target=c.d", "-replace=e.f[\"g\"]"}) {
    EXPECT_THAT(arguments, Contains(wanted));
  }
  EXPECT_THAT(arguments, Not(Contains("-json")));
  Job other;
  other.refresh_only = other.structured_output = true;
  EXPECT_THAT(plan_arguments(other, "/p"),
              testing::AllOf(Contains("-refresh-only"), Contains("-json"), Not(Contains("-refresh=false"))));
}

TEST(Arguments, OnlyANewEngineIsAskedForEvents) {
  Job job;
  job.engine = "opentofu";
  std::map<std::string, bool> wanted = {{"1.12.0", true},  {"1.13.1", true}, {"2.0.0", true},
                                        {"1.11.9", false}, {"1.9.0", false}, {"", false}};
  for (const auto& [version, able] : wanted) {
    job.engine_version = version;
    EXPECT_EQ(writes_events(job), able) << version;
  }
  job.engine = "terraform";
  job.engine_version = "1.15.9";
  EXPECT_FALSE(writes_events(job));
  job.structured_output = true;
  EXPECT_EQ(apply_arguments(job, "", "/p"),
            (std::vector<std::string>{"apply", "-input=false", "-no-color", "-backup=-", "-json", "/p"}));
  EXPECT_THAT(apply_arguments(job, "/e", "/p"),
              testing::AllOf(Contains("-json-into=/e"), Not(Contains("-json"))));
}

TEST(Header, HasThreeLinesBeforeAnyNote) {
  Job job;
  job.engine = "opentofu";
  job.engine_version = "1.12.6";
  job.engine_note = "Engine note.";
  job.plan_note = "Plan note.";
  EXPECT_EQ(
      log_header(job),
      "OpenTofu v1.12.6\non linux_amd64\nInitializing plugins and modules...\nEngine note.\nPlan note.\n");
}

TEST(Layout, FollowsTheWorkingDirectoryAndTheWorkspace) {
  Job job;
  job.workspace_name = "prod";
  EXPECT_EQ(working_directory_of(job), "work");
  EXPECT_EQ(state_file_of(job), "work/terraform.tfstate.d/prod/terraform.tfstate");
  job.working_directory = "/a//./b/";
  EXPECT_EQ(working_directory_of(job), "work/a/b");
  EXPECT_EQ(inside(working_directory_of(job)), "/run/terrane/work/a/b");
  job.workspace_name = "default";
  EXPECT_EQ(state_file_of(job), "work/a/b/terraform.tfstate");
  job.working_directory = "a/../../b";
  EXPECT_THROW(working_directory_of(job), Error);
}

}  // namespace
}  // namespace terrane::shim
