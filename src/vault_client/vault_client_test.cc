#include "vault_client/vault_client.h"

#include <cstdlib>
#include <filesystem>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/text.h"
#include "http/server.h"
#include "testing/child.h"
#include "testing/run.h"
#include "vault_client/fake_vault.h"
#include "vault_client/vault_contract.h"

namespace terrane::vault_client {
namespace {

Task<> fake(net::Executor) {
  FakeVault vault;
  co_await contract::check(vault);
}
TEST(FakeVault, KeepsTheContract) { testing::run_task(fake); }

Task<> fake_faults(net::Executor) {
  FakeVault vault;
  std::string before = co_await vault.encrypt("app", Secret("x"));
  vault.rotate("app");
  std::string after = co_await vault.encrypt("app", Secret("x"));
  EXPECT_TRUE(after.starts_with("vault:v2:"));
  EXPECT_EQ((co_await vault.decrypt("app", before)).reveal(), "x");
  vault.set_sealed(true);
  Health health = co_await vault.health();
  EXPECT_TRUE(health.sealed);
  co_await contract::expect_error(vault.decrypt("app", before), Code::unavailable, "sealed");
  vault.set_sealed(false);
  vault.set_away(true);
  co_await contract::expect_error(vault.health(), Code::unavailable, "away");
  co_await contract::expect_error(vault.data_keys("app", 2), Code::unavailable, "away");
  vault.set_away(false);
  EXPECT_EQ((co_await vault.decrypt("app", before)).reveal(), "x");
}
TEST(FakeVault, CanBeSealedAwayAndRotated) { testing::run_task(fake_faults); }

/// Reads `http://host:port` of TERRANE_TEST_VAULT_ADDR.
http::Endpoint endpoint_of(std::string_view address) {
  http::Endpoint endpoint;
  endpoint.tls = address.starts_with("https://");
  address.remove_prefix(address.find("//") + 2);
  std::size_t colon = address.rfind(':');
  endpoint.host = std::string(address.substr(0, colon));
  endpoint.port = static_cast<std::uint16_t>(parse_int(address.substr(colon + 1)).value_or(0));
  return endpoint;
}

Task<> external(net::Executor executor) {
  VaultClientOptions options;
  options.token = Secret(std::string(std::getenv("TERRANE_TEST_VAULT_TOKEN")));
  VaultClient vault(executor, endpoint_of(std::getenv("TERRANE_TEST_VAULT_ADDR")), options);
  co_await contract::check(vault);
}
// Against a HashiCorp Vault or OpenBao with a transit mount: TERRANE_TEST_VAULT_ADDR=http://127.0.0.1:8200
// TERRANE_TEST_VAULT_TOKEN=…
TEST(ExternalVault, KeepsTheContract) {
  if (!std::getenv("TERRANE_TEST_VAULT_ADDR") || !std::getenv("TERRANE_TEST_VAULT_TOKEN")) {
    GTEST_SKIP() << "TERRANE_TEST_VAULT_ADDR and TERRANE_TEST_VAULT_TOKEN are not set";
  }
  testing::run_task(external, std::chrono::seconds(60));
}

/// A server that answers each request with the next of a list, and remembers what it was sent.
class Scripted {
 public:
  explicit Scripted(net::Executor executor)
      : directory_("vault", ""),
        server_(
            executor, [this](http::Request& request) { return answer(request); },
            [](const http::Request&, std::exception_ptr) { return http::Response{}; }) {
    server_.listen_unix(socket());
  }
  void add(int status, std::string body) { answers_.push_back({status, std::move(body)}); }
  VaultClient client(net::Executor executor, VaultClientOptions options) const {
    http::Endpoint endpoint;
    endpoint.host = "vault";
    endpoint.unix_path = socket();
    return {executor, endpoint, std::move(options)};
  }
  std::filesystem::path socket() const { return directory_.path() / "vault.sock"; }
  Task<> stop() { co_await server_.stop(std::chrono::seconds(5)); }

  std::vector<std::string> targets;
  std::vector<std::string> tokens;
  std::vector<std::string> bodies;

 private:
  Task<http::Response> answer(http::Request& request) {
    targets.push_back(std::string(http::name(request.method)) + " " + request.target);
    tokens.emplace_back(request.headers.find("X-Vault-Token").value_or(""));
    bodies.push_back(co_await http::read_body(request, 1024 * 1024));
    http::Response response;
    response.status = 500;
    if (next_ < answers_.size()) {
      response.status = answers_[next_].first;
      response.body = answers_[next_].second;
      ++next_;
    }
    co_return response;
  }

  testing::TestDirectory directory_;
  http::Server server_;
  std::vector<std::pair<int, std::string>> answers_;
  std::size_t next_ = 0;
};

VaultClientOptions with_token(std::string token) {
  VaultClientOptions options;
  options.token = Secret(std::move(token));
  return options;
}

Task<> statuses(net::Executor executor) {
  struct Case {
    int status;
    std::string body;
    Code code;
    std::string detail;
  };
  std::vector<Case> cases{
      {503, R"({"errors":["Vault is sealed"]})", Code::unavailable,
       "Vault is sealed; try again when it has been unsealed."},
      {503, R"({"errors":["storage is away"]})", Code::unavailable, "Vault cannot answer now; try again."},
      {500, R"({"errors":["internal error"]})", Code::unavailable, "Vault cannot answer now; try again."},
      {502, "<html>bad gateway</html>", Code::unavailable, "Vault cannot answer now; try again."},
      {429, "", Code::unavailable, "Vault cannot answer now; try again."},
      {403, R"({"errors":["permission denied"]})", Code::unavailable, "Vault refused the request."},
      {400, R"({"errors":["cipher: message authentication failed"]})", Code::internal,
       "Vault could not do what was asked."},
      {500, R"({"errors":["cipher: message authentication failed"]})", Code::internal,
       "Vault could not do what was asked."},
      {404, R"({"errors":["no handler for route"]})", Code::internal, "Vault could not do what was asked."},
      {200, "", Code::internal, "Vault answered in a form that is not understood."},
      {200, R"({"data":{"plaintext":5}})", Code::internal,
       "Vault answered in a form that is not understood."},
      {200, R"({"data":{"plaintext":"***"}})", Code::internal,
       "Vault answered in a form that is not understood."},
  };
  Scripted server(executor);
  for (const Case& one : cases) server.add(one.status, one.body);
  {
    VaultClient client = server.client(executor, with_token("t"));
    for (const Case& one : cases) {
      bool thrown = false;
      try {
        co_await client.decrypt("app", "vault:v1:secret-ciphertext");
      } catch (const Error& error) {
        thrown = true;
        EXPECT_EQ(name(error.code()), name(one.code)) << one.status << one.body;
        EXPECT_EQ(error.detail(), one.detail) << one.status << one.body;
        EXPECT_EQ(error.context().find("secret-ciphertext"), std::string::npos);
      }
      EXPECT_TRUE(thrown) << one.status << one.body;
    }
  }
  EXPECT_EQ(server.targets.front(), "POST /v1/transit/decrypt/app");
  co_await server.stop();
}
TEST(VaultClient, TellsWhatIsAwayFromWhatIsDamaged) { testing::run_task(statuses); }

Task<> batches(net::Executor executor) {
  Scripted server(executor);
  server.add(
      400,
      R"({"data":{"batch_results":[{"plaintext":"eA=="},{"error":"cipher: message authentication failed"}]}})");
  server.add(200, R"({"data":{"batch_results":[{"plaintext":"eA=="}]}})");
  server.add(200, R"({"data":{"batch_results":[5,6]}})");
  server.add(503, R"({"errors":["Vault is sealed"]})");
  {
    VaultClient client = server.client(executor, with_token("t"));
    std::vector<Cipher> two{{"vault:v1:a", ""}, {"vault:v1:b", "row"}};
    co_await contract::expect_error(client.decrypt_all("app", two), Code::internal, "a failed item");
    co_await contract::expect_error(client.decrypt_all("app", two), Code::internal, "too few results");
    co_await contract::expect_error(client.decrypt_all("app", two), Code::internal, "results that are none");
    co_await contract::expect_error(client.decrypt_all("app", two), Code::unavailable, "a sealed vault");
  }
  EXPECT_EQ(
      server.bodies.front(),
      R"({"batch_input":[{"ciphertext":"vault:v1:a"},{"ciphertext":"vault:v1:b","associated_data":"cm93"}]})");
  co_await server.stop();
}
TEST(VaultClient, ABatchIsAllOrNothing) { testing::run_task(batches); }

Task<Secret> next_token(int& asked) {
  ++asked;
  co_return Secret("token-" + std::to_string(asked));
}

Task<> fresh_token(net::Executor executor) {
  Scripted server(executor);
  server.add(403, R"({"errors":["permission denied"]})");
  server.add(200, R"({"data":{"ciphertext":"vault:v1:x","key_version":1}})");
  int asked = 0;
  VaultClientOptions options;
  options.token_source = [&asked] { return next_token(asked); };
  {
    VaultClient client = server.client(executor, std::move(options));
    EXPECT_EQ(co_await client.encrypt("app", Secret("x")), "vault:v1:x");
  }
  EXPECT_EQ(server.tokens, (std::vector<std::string>{"token-1", "token-2"}));
  co_await server.stop();
}
TEST(VaultClient, AsksForAnotherTokenOnceAfterARefusal) { testing::run_task(fresh_token); }

Task<> nobody(net::Executor executor) {
  testing::TestDirectory directory("vault", "");
  http::Endpoint endpoint;
  endpoint.host = "vault";
  endpoint.unix_path = directory.path() / "nobody.sock";
  VaultClient client(executor, endpoint, with_token("t"));
  co_await contract::expect_error(client.encrypt("app", Secret("x")), Code::unavailable, "nobody listens");
  co_await contract::expect_error(client.health(), Code::unavailable, "nobody listens");
  co_await contract::expect_error(client.encrypt("../sys/seal", Secret("x")), Code::internal,
                                  "a name that is a path");
}
TEST(VaultClient, AVaultThatCannotBeReachedIsUnavailable) { testing::run_task(nobody); }

}  // namespace
}  // namespace terrane::vault_client
