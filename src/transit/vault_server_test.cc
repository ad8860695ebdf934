// The life of a vault: made, opened, sealed, with its key material missing, wrong or open to others, and its
// storage away.
#include "transit/vault_server.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "testing/run.h"
#include "transit/vault_fixture.h"

namespace terrane::transit {
namespace {

namespace fs = std::filesystem;

unsigned mode_of(const fs::path& path) {
  struct stat status{};
  EXPECT_EQ(::stat(path.c_str(), &status), 0) << path;
  return status.st_mode & 07777;
}

/// What `open` says, empty when it succeeds.
Task<std::string> opening(TestVault& vault) {
  try {
    co_await vault.open();
  } catch (const Error& error) {
    co_return std::string(name(error.code())) + ": " + error.detail();
  }
  co_return "";
}

Task<> first_start(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  std::string ciphertext;
  {
    TestVault vault(storage, directory.path() / "material");
    co_await vault.open();
    ciphertext = co_await vault.encrypt("app", "kept");
    EXPECT_FALSE(vault.server().sealed());
  }
  EXPECT_EQ(mode_of(directory.path() / "material"), 0700u);
  EXPECT_EQ(mode_of(directory.path() / "material/unseal.json"), 0600u);
  EXPECT_EQ(mode_of(directory.path() / "material/keyring"), 0700u);
  EXPECT_EQ(mode_of(directory.path() / "material/keyring/0001.sealed"), 0600u);
  TestVault again(storage, directory.path() / "material");
  co_await again.open();
  EXPECT_EQ(co_await again.decrypt("app", ciphertext), "kept");
}
TEST(VaultServer, MakesItselfOnceAndOpensAgain) { testing::run_task(first_start); }

Task<> nothing_in_clear(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  co_await vault.encrypt("app", "value");
  co_await vault.post("sys/policies/acl/web",
                      R"({"policy":"path \"marker/x\" { capabilities = [\"read\"] }"})");
  for (const auto& [path, value] : storage.rows()) {
    EXPECT_EQ(path.find(vault.root()), std::string::npos);
    for (std::string_view clear :
         {std::string_view("marker"), std::string_view("versions"), std::string_view("policies"),
          std::string_view("terms"), std::string_view(vault.root())}) {
      EXPECT_EQ(value.find(clear), std::string::npos) << path << " holds " << clear;
    }
  }
  for (const auto& entry : fs::directory_iterator(directory.path() / "material/keyring")) {
    std::ifstream stream(entry.path(), std::ios::binary);
    std::string bytes((std::istreambuf_iterator<char>(stream)), {});
    EXPECT_EQ(bytes.find("versions"), std::string::npos);
    EXPECT_EQ(bytes.find("token_key"), std::string::npos);
  }
}
TEST(VaultServer, StorageAndCopiesHoldNothingInClear) { testing::run_task(nothing_in_clear); }

Task<> missing_material(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  fs::path material = directory.path() / "material";
  {
    TestVault vault(storage, material);
    co_await vault.open();
  }
  MemoryStorage::Rows before = storage.rows();
  fs::rename(material / "unseal.json", directory.path() / "saved");
  {
    TestVault vault(storage, material);
    std::string text = co_await opening(vault);
    EXPECT_NE(text.find((material / "unseal.json").string() + " is missing: restore"), std::string::npos)
        << text;
    EXPECT_TRUE(vault.server().sealed());
  }
  storage.rows().clear();
  {
    TestVault vault(storage, material);
    std::string text = co_await opening(vault);
    EXPECT_NE(text.find("holds sealed keyring copies"), std::string::npos) << text;
    EXPECT_TRUE(storage.rows().empty()) << "nothing may be made over existing key material";
  }
  storage.rows() = before;
  EXPECT_FALSE(fs::exists(material / "unseal.json"));
  fs::rename(directory.path() / "saved", material / "unseal.json");
  TestVault vault(storage, material);
  EXPECT_EQ(co_await opening(vault), "");
  EXPECT_EQ(storage.rows(), before);
}
TEST(VaultServer, SaysWhichFileIsMissingAndTouchesNothing) { testing::run_task(missing_material); }

Task<> foreign_material(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  MemoryStorage other;
  TestVault mine(storage, directory.path() / "mine");
  TestVault foreign(other, directory.path() / "foreign");
  co_await mine.open();
  co_await foreign.open();
  TestVault crossed(storage, directory.path() / "foreign");
  std::string text = co_await opening(crossed);
  EXPECT_NE(text.find("does not open this storage"), std::string::npos) << text;
  EXPECT_NE(text.find("foreign/unseal.json"), std::string::npos) << text;
  Reply reply = co_await crossed.post("transit/encrypt/app", R"({"plaintext":""})");
  EXPECT_EQ(reply.status, 503);
}
TEST(VaultServer, RefusesTheKeyMaterialOfAnotherVault) { testing::run_task(foreign_material); }

Task<> damaged_material(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  fs::path material = directory.path() / "material";
  {
    TestVault vault(storage, material);
    co_await vault.open();
  }
  fs::path file = material / "unseal.json";
  ::chmod(file.c_str(), 0644);
  TestVault vault(storage, material);
  EXPECT_NE((co_await opening(vault)).find("chmod it to 0600"), std::string::npos);
  ::chmod(file.c_str(), 0600);
  ::chmod(material.c_str(), 0755);
  EXPECT_NE((co_await opening(vault)).find("chmod it to 0700"), std::string::npos);
  ::chmod(material.c_str(), 0700);
  for (const char* text :
       {"", "{", "[]", "{}", R"({"unseal_key":"AAAA","root_token":"x"})", R"({"unseal_key":5})"}) {
    std::ofstream(file, std::ios::trunc) << text;
    std::string said = co_await opening(vault);
    EXPECT_NE(said.find("cannot be understood: restore it"), std::string::npos) << text << " gave " << said;
  }
}
TEST(VaultServer, RefusesMaterialThatIsOpenToOthersOrDamaged) { testing::run_task(damaged_material); }

Task<> lost_root_row(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  {
    TestVault vault(storage, directory.path() / "material");
    co_await vault.open();
    co_await vault.encrypt("app", "value");
  }
  storage.rows().erase("core/root");
  std::size_t rows = storage.rows().size();
  TestVault vault(storage, directory.path() / "material");
  std::string text = co_await opening(vault);
  EXPECT_NE(text.find("holds rows but no 'core/root'"), std::string::npos) << text;
  EXPECT_EQ(storage.rows().size(), rows) << "a storage that holds anything is never made anew";
}
TEST(VaultServer, NeverMakesItselfOverAStorageThatHoldsRows) { testing::run_task(lost_root_row); }

Task<> exchanged_rows(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  std::string ciphertext;
  {
    TestVault vault(storage, directory.path() / "material");
    co_await vault.open();
    ciphertext = co_await vault.encrypt("one", "value");
    co_await vault.encrypt("two", "value");
  }
  std::swap(storage.rows()["transit/key/one"], storage.rows()["transit/key/two"]);
  TestVault vault(storage, directory.path() / "material");
  std::string text = co_await opening(vault);
  EXPECT_NE(text.find("does not open: it is damaged or stands under a foreign path"), std::string::npos)
      << text;
}
TEST(VaultServer, RowsCannotBeExchanged) { testing::run_task(exchanged_rows); }

Task<> two_first_starts(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  // The second made its key material while the first was quicker at the storage.
  TestVault first(storage, directory.path() / "first");
  co_await first.open();
  MemoryStorage::Rows made = storage.rows();
  storage.rows().clear();
  struct Late : MemoryStorage {
    Rows rival;
    Task<bool> insert_all(std::vector<std::pair<std::string, std::string>> entries) override {
      rows() = rival;
      return MemoryStorage::insert_all(std::move(entries));
    }
  } late;
  late.rival = made;
  TestVault second(late, directory.path() / "second");
  std::string text = co_await opening(second);
  EXPECT_NE(text.find("Another vault made itself in the same storage"), std::string::npos) << text;
  EXPECT_FALSE(fs::exists(directory.path() / "second/unseal.json"))
      << "key material that opens nothing must not stay";
  EXPECT_TRUE(fs::is_empty(directory.path() / "second/keyring"));
  EXPECT_EQ(late.rows(), made);
}
TEST(VaultServer, TheLoserOfTwoFirstStartsLeavesNothingBehind) { testing::run_task(two_first_starts); }

Task<> storage_away(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  std::string ciphertext = co_await vault.encrypt("app", "kept");
  storage.set_away(true);
  EXPECT_EQ(co_await vault.decrypt("app", ciphertext), "kept");
  std::string during = co_await vault.encrypt("app", "during");
  EXPECT_EQ(co_await vault.decrypt("app", during), "during");
  Reply datakey = co_await vault.post("transit/datakey/plaintext/app");
  EXPECT_EQ(datakey.status, 200);
  Reply health = co_await vault.get("sys/health");
  EXPECT_EQ(health.status, 200);
  for (const char* path : {"transit/keys/app/rotate", "transit/encrypt/other", "auth/token/create"}) {
    Reply reply = co_await vault.post(path, R"({"plaintext":""})");
    EXPECT_EQ(reply.status, 503) << path;
    EXPECT_NE(reply.error(), "") << path;
  }
  Reply stranger = co_await vault.as("hvs.stranger", http::Method::get, "auth/token/lookup-self");
  EXPECT_EQ(stranger.status, 503) << "an unknown token cannot be judged now";
  TestVault late(storage, directory.path() / "material");
  EXPECT_TRUE((co_await opening(late)).starts_with("unavailable: "));
  storage.set_away(false);
  Reply rotated = co_await vault.post("transit/keys/app/rotate");
  EXPECT_EQ(rotated.status, 200);
}
TEST(VaultServer, GoesOnFromMemoryWhileTheStorageIsAway) { testing::run_task(storage_away); }

Task<> token_life(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  auto create = [&vault](std::string by, std::string body) -> Task<std::string> {
    Reply reply = co_await vault.as(std::move(by), http::Method::post, "auth/token/create", std::move(body));
    co_return reply.status == 200 ? reply.text("auth.client_token") : "error: " + reply.error();
  };
  auto valid = [&vault](std::string token) -> Task<bool> {
    Reply reply = co_await vault.as(std::move(token), http::Method::get, "auth/token/lookup-self");
    co_return reply.status == 200;
  };
  co_await vault.post("sys/policies/acl/maker",
                      R"({"policy":"path \"auth/token/create\" { capabilities = [\"update\"] }"})");
  std::string parent = co_await create(vault.root(), R"({"policies":["maker"],"ttl":3600})");
  std::string child = co_await create(parent, R"({"policies":["maker"]})");
  std::string grandchild = co_await create(child, "{}");
  EXPECT_TRUE(co_await valid(grandchild));
  EXPECT_EQ(co_await create(parent, R"({"policies":["root"]})"),
            "error: root tokens may not be created without parent token being root");
  EXPECT_EQ(co_await create(parent, R"({"policies":["other"]})"),
            "error: child policies must be subset of parent");
  EXPECT_EQ(co_await create(parent, R"({"no_parent":true})"),
            "error: root or sudo privileges required to create an orphan or a periodic token");
  Reply revoked = co_await vault.as(parent, http::Method::post, "auth/token/revoke-self");
  EXPECT_EQ(revoked.status, 204);
  EXPECT_FALSE(co_await valid(parent));
  EXPECT_FALSE(co_await valid(child)) << "a token dies with its ancestors";
  EXPECT_FALSE(co_await valid(grandchild));
  EXPECT_TRUE(co_await valid(vault.root()));
  std::string brief = co_await create(vault.root(), R"({"policies":["default"],"ttl":"1s"})");
  bool ended = false;
  for (int i = 0; i < 1000 && !ended; ++i) {
    ended = !co_await valid(brief);
    if (!ended) co_await net::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_TRUE(ended) << "a token ends after its ttl";
}
TEST(VaultServer, TokensEndWithTheirParentsAndTheirTime) { testing::run_task(token_life); }

Task<> bad_input(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  co_await vault.encrypt("app", "x");
  std::vector<std::string> bodies{"",
                                  "{",
                                  "nul",
                                  "\"x\"",
                                  "{\"plaintext\":",
                                  "[[[[",
                                  std::string(200, '['),
                                  "{\"a\":\"\\ud800\"}",
                                  std::string("\0\xff\xfe", 3),
                                  R"({"plaintext":5})",
                                  R"({"ciphertext":[]})",
                                  R"({"batch_input":{}})",
                                  R"({"batch_input":[null,[],5,""]})",
                                  R"({"key_version":"x","plaintext":""})",
                                  R"({"key_version":1e300,"plaintext":""})",
                                  R"({"key_version":99999999999999999999,"plaintext":""})",
                                  R"({"bits":"many"})",
                                  R"({"policies":5})",
                                  R"({"policies":[""]})",
                                  R"({"meta":[1]})",
                                  R"({"ttl":-1})",
                                  R"({"ttl":"99999999999999999999h"})",
                                  R"({"policy":{}})",
                                  R"({"min_decryption_version":[]})",
                                  R"({"type":{}})",
                                  R"({"secret_shares":"x"})"};
  std::vector<std::string> paths{"transit/encrypt/app",
                                 "transit/decrypt/app",
                                 "transit/rewrap/app",
                                 "transit/datakey/plaintext/app",
                                 "transit/keys/app/config",
                                 "auth/token/create",
                                 "sys/policies/acl/p",
                                 "sys/init",
                                 "sys/unseal"};
  for (const std::string& path : paths) {
    for (const std::string& body : bodies) {
      Reply reply = co_await vault.post(path, body);
      EXPECT_LT(reply.status, 500) << path << " with " << body << ": " << reply.error();
    }
  }
  for (const char* path : {"", "/", "transit", "transit//", "transit/encrypt/", "transit/encrypt/../keys",
                           "transit/encrypt/%61pp", "transit/encrypt/a/b/c", "sys/policies/acl/..",
                           "transit/keys/.", "sys/health?uninitcode=x&sealedcode=9"}) {
    Reply reply = co_await vault.get(path);
    EXPECT_LT(reply.status, 500) << path;
  }
  Reply outside = co_await call(vault.handler(), http::Method::get, "/v2/sys/health");
  EXPECT_EQ(outside.status, 404);
  Reply large = co_await vault.post("transit/encrypt/app",
                                    "{\"plaintext\":\"" + std::string(9 * 1024 * 1024, 'A') + "\"}");
  EXPECT_EQ(large.status, 413);
  std::string many = "{\"batch_input\":[{}";
  for (int i = 0; i < 10'000; ++i) many += ",{}";
  Reply batch = co_await vault.post("transit/encrypt/app", many + "]}");
  EXPECT_EQ(batch.status, 400);
  EXPECT_EQ(batch.error(), "a batch may have at most 10000 items");
  EXPECT_EQ(co_await vault.decrypt("app", co_await vault.encrypt("app", "well")), "well");
}
TEST(VaultServer, BadInputIsRefusedAndHarmsNothing) { testing::run_task(bad_input); }

}  // namespace
}  // namespace terrane::transit
