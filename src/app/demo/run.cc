#include "app/demo/run.h"

#include <cstdio>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "http/client.h"
#include "net/files.h"
#include "net/process.h"

namespace terrane::app {
namespace {

http::Endpoint endpoint_of(const DemoSite& site) {
  http::Endpoint endpoint;
  endpoint.host = site.host;
  endpoint.port = site.port;
  endpoint.tls = true;
  endpoint.ca_pem = net::read_file(site.certificate, 1 << 20);
  return endpoint;
}

struct Answer {
  int status = 0;
  json::value body;
};

Task<Answer> call(http::Client& client, const Secret& token, http::Method method, std::string target,
                  json::object body) {
  http::ClientRequest request;
  request.method = method;
  request.target = std::move(target);
  request.headers.set("Authorization", "Bearer " + token.reveal());
  request.headers.set("Content-Type", "application/vnd.api+json");
  if (!body.empty()) request.body = json::serialize(body);
  http::ClientResponse response = co_await client.send(std::move(request));
  Answer answer;
  answer.status = response.status;
  std::string text = co_await response.text();
  if (!text.empty()) answer.body = parse_json(text);
  co_return answer;
}

json::object resource(std::string_view type, json::object attributes) {
  return {{"data", json::object{{"type", type}, {"attributes", std::move(attributes)}}}};
}

/// The engine that the store holds, to be used as the CLI.
std::filesystem::path cli_of(const DemoSite& site) {
  json::value manifest = parse_json(net::read_file(site.engine_store / "manifest.json", 1 << 20));
  for (const json::value& item : manifest.as_array())
    return site.engine_store / require_string(item.as_object(), "path");
  throw Error(Code::unavailable, "The engine store " + site.engine_store.string() + " holds no engine.");
}

constexpr const char* configuration = R"(terraform {
  cloud {
    organization = "demo"
    workspaces { name = "hello" }
  }
}

resource "terraform_data" "hello" {
  input = "applied by Terrane"
}

output "greeting" {
  value = terraform_data.hello.output
}
)";

/// Runs the CLI in `directory` with its output on this process's own.
Task<net::ExitStatus> run_cli(const DemoSite& site, std::filesystem::path directory,
                              std::vector<std::string> arguments) {
  net::ProcessOptions cli;
  cli.argv = std::move(arguments);
  cli.argv.insert(cli.argv.begin(), cli_of(site).string());
  cli.directory = directory;
  cli.environment = {{"PATH", "/usr/bin:/bin"},
                     {"HOME", directory.string()},
                     {"SSL_CERT_FILE", site.certificate.string()},
                     {"TF_CLI_CONFIG_FILE", (directory / "cli.rc").string()},
                     {"TF_IN_AUTOMATION", "1"}};
  cli.files = {{1, 1}, {2, 2}};
  net::Process process = net::Process::start(cli);
  co_return co_await process.wait();
}

}  // namespace

namespace {

/// Whether the supervisor says of every process that it is ready.
bool all_processes_ready(const DemoSite& site) {
  std::filesystem::path file = std::filesystem::path(site.data) / "status.json";
  if (!std::filesystem::exists(file)) return false;
  json::value status = parse_json(net::read_file(file, 1 << 20));
  for (const json::value& part : status.as_array()) {
    if (find_string(part.as_object(), "state") != "ready") return false;
  }
  return !status.as_array().empty();
}

}  // namespace

Task<bool> is_ready(net::Executor executor, DemoSite site) {
  if (!std::filesystem::exists(site.certificate) || !all_processes_ready(site)) co_return false;
  try {
    http::ClientOptions options;
    options.header_time = std::chrono::seconds(5);
    http::Client client(executor, endpoint_of(site), options);
    http::ClientRequest request;
    request.target = "/_health_check?full=1";
    http::ClientResponse response = co_await client.send(std::move(request));
    std::string text = co_await response.text();
    co_return response.status == 200;
  } catch (const Error&) {
    co_return false;
  }
}

Task<bool> perform_run(net::Executor executor, DemoSite site, Secret token) {
  http::Client client(executor, endpoint_of(site));
  Answer organization = co_await call(client, token, http::Method::get, "/api/v2/organizations/demo", {});
  if (organization.status == 404) {
    json::object wanted =
        resource("organizations", {{"name", "demo"}, {"email", "demo@localhost.localdomain"}});
    Answer made = co_await call(client, token, http::Method::post, "/api/v2/organizations", wanted);
    if (made.status != 201)
      throw Error(Code::internal, "The organization was not made: " + json::serialize(made.body));
  }
  std::filesystem::path directory = std::filesystem::path(site.data) / "demo-configuration";
  net::make_directory(directory, {0700});
  std::string text = configuration;
  text.insert(text.find("organization ="),
              "hostname     = \"" + site.host + ":" + std::to_string(site.port) + "\"\n    ");
  net::write_file(directory / "main.tf", text);
  net::write_file(directory / "cli.rc", "disable_checkpoint = true\ncredentials \"" + site.host + ":" +
                                            std::to_string(site.port) + "\" {\n  token = \"" +
                                            token.reveal() + "\"\n}\n");
  net::ExitStatus init = co_await run_cli(site, directory, {"init", "-input=false", "-no-color"});
  if (!init.success()) co_return false;
  net::ExitStatus apply =
      co_await run_cli(site, directory, {"apply", "-auto-approve", "-input=false", "-no-color"});
  std::error_code ignored;
  std::filesystem::remove(directory / "cli.rc", ignored);
  if (!apply.success()) co_return false;

  Answer workspace =
      co_await call(client, token, http::Method::get, "/api/v2/organizations/demo/workspaces/hello", {});
  if (workspace.status != 200) co_return false;
  std::string id = std::string(workspace.body.at("data").at("id").as_string());
  Answer state = co_await call(client, token, http::Method::get,
                               "/api/v2/workspaces/" + id + "/current-state-version", {});
  if (state.status != 200) co_return false;
  std::string run =
      std::string(state.body.at("data").at("relationships").at("run").at("data").at("id").as_string());
  Answer done = co_await call(client, token, http::Method::get, "/api/v2/runs/" + run, {});
  std::string status = std::string(done.body.at("data").at("attributes").at("status").as_string());
  std::printf("%s is %s; its state is serial %lld\n", run.c_str(), status.c_str(),
              static_cast<long long>(state.body.at("data").at("attributes").at("serial").as_int64()));
  // A second demo on the same installation finds nothing to change: its newest run finished without an apply,
  // the state stays.
  co_return status == "applied" || status == "planned_and_finished";
}

}  // namespace terrane::app
