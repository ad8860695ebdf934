// The contract of vault_client's Vault against our own server, over HTTP on a unix socket.
#include "vault_client/vault_contract.h"

#include <gtest/gtest.h>

#include "http/server.h"
#include "testing/run.h"
#include "transit/vault_fixture.h"
#include "vault_client/vault_client.h"

namespace terrane::transit {
namespace {

http::Response refuse(const http::Request&, std::exception_ptr) {
  http::Response response;
  response.status = 500;
  return response;
}

/// A vault behind a socket, and a client with the root token.
struct Served {
  explicit Served(net::Executor executor)
      : vault(storage, directory.path() / "material"),
        server(executor, vault.handler(), refuse),
        socket(directory.path() / "vault.sock") {
    server.listen_unix(socket);
  }
  vault_client::VaultClient client(net::Executor executor, std::string token) const {
    http::Endpoint endpoint;
    endpoint.host = "vault";
    endpoint.unix_path = socket;
    vault_client::VaultClientOptions options;
    options.token = Secret(std::move(token));
    return {executor, endpoint, options};
  }

  Directory directory;
  MemoryStorage storage;
  TestVault vault;
  http::Server server;
  std::filesystem::path socket;
};

Task<> contract(net::Executor executor) {
  Served served(executor);
  co_await served.vault.open();
  {
    vault_client::VaultClient client = served.client(executor, served.vault.root());
    co_await vault_client::contract::check(client);
  }
  co_await served.server.stop(std::chrono::seconds(5));
}
TEST(VaultContract, OurServerKeepsIt) { testing::run_task(contract); }

Task<> sealed_and_refused(net::Executor executor) {
  Served served(executor);
  {
    vault_client::VaultClient early = served.client(executor, "hvs.none");
    vault_client::Health health = co_await early.health();
    EXPECT_FALSE(health.initialized);
    EXPECT_TRUE(health.sealed);
    co_await vault_client::contract::expect_error(early.encrypt("app", Secret("x")), Code::unavailable,
                                                  "a sealed vault");
    co_await served.vault.open();
    co_await vault_client::contract::expect_error(early.encrypt("app", Secret("x")), Code::unavailable,
                                                  "a refused token");
  }
  {
    // A token that may only use one key, as the roles have.
    vault_client::VaultClient root = served.client(executor, served.vault.root());
    co_await root.ensure_key("app");
    co_await served.vault.post("sys/policies/acl/use",
                               R"({"policy":"path \"transit/encrypt/app\" { capabilities = [\"update\"] }\n)"
                               R"(path \"transit/decrypt/app\" { capabilities = [\"update\"] }"})");
    Reply made = co_await served.vault.post("auth/token/create", R"({"policies":["use"]})");
    vault_client::VaultClient user = served.client(executor, made.text("auth.client_token"));
    std::string ciphertext = co_await user.encrypt("app", Secret("x"), "row");
    EXPECT_EQ((co_await user.decrypt("app", ciphertext, "row")).reveal(), "x");
    co_await vault_client::contract::expect_error(user.encrypt("other", Secret("x")), Code::unavailable,
                                                  "a key that is not granted");
  }
  co_await served.server.stop(std::chrono::seconds(5));
}
TEST(VaultContract, ASealedVaultAndARefusedTokenAreUnavailable) { testing::run_task(sealed_and_refused); }

}  // namespace
}  // namespace terrane::transit
