// What must hold whatever dies or is put back: no ciphertext that was handed out is ever lost while the key
// material is there.
#include <fstream>
#include <gtest/gtest.h>

#include "testing/run.h"
#include "transit/vault_fixture.h"

namespace terrane::transit {
namespace {

namespace fs = std::filesystem;

/// Ciphertexts and what they must open to.
using Kept = std::vector<std::pair<std::string, std::string>>;

Task<> expect_kept(TestVault& vault, std::string key, const Kept& kept, std::string when) {
  for (const auto& [ciphertext, text] : kept) {
    EXPECT_EQ(co_await vault.decrypt(key, ciphertext), text) << when << ": " << ciphertext.substr(0, 12);
  }
}

Task<> keep(TestVault& vault, std::string key, std::string text, Kept& kept) {
  std::string ciphertext = co_await vault.encrypt(key, text);
  kept.emplace_back(std::move(ciphertext), std::move(text));
}

Task<> storage_put_back(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  Kept kept;
  MemoryStorage::Rows backup;
  {
    TestVault vault(storage, directory.path() / "material");
    co_await vault.open();
    co_await keep(vault, "app", "first", kept);
    backup = storage.rows();
    co_await vault.post("transit/keys/app/rotate");
    co_await keep(vault, "app", "second", kept);
    co_await vault.post("sys/rotate");
    co_await vault.post("transit/keys/app/rotate");
    co_await keep(vault, "app", "third", kept);
    co_await keep(vault, "young", "of a key that the backup lacks", kept);
  }
  storage.rows() = backup;
  std::string young = kept.back().first;
  kept.pop_back();
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  co_await expect_kept(vault, "app", kept, "after the restore");
  EXPECT_EQ(co_await vault.decrypt("young", young), "of a key that the backup lacks");
  Reply rotated = co_await vault.post("transit/keys/app/rotate");
  EXPECT_EQ(rotated.number("data.latest_version"), 4) << "a number that was used is not given again";
  Reply term = co_await vault.get("sys/key-status");
  EXPECT_EQ(term.number("data.term"), 2);
}
TEST(Recovery, VersionsThatAnOlderStorageLacksAreAddedBack) { testing::run_task(storage_put_back); }

Task<> put_back_under_a_running_vault(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  Kept kept;
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  co_await keep(vault, "app", "first", kept);
  MemoryStorage::Rows backup = storage.rows();
  co_await vault.post("transit/keys/app/rotate");
  co_await keep(vault, "app", "second", kept);
  storage.rows() = backup;
  Reply rotated = co_await vault.post("transit/keys/app/rotate");
  EXPECT_EQ(rotated.number("data.latest_version"), 3);
  co_await keep(vault, "app", "third", kept);
  co_await expect_kept(vault, "app", kept, "while it runs");
  TestVault again(storage, directory.path() / "material");
  co_await again.open();
  co_await expect_kept(again, "app", kept, "after a new start");
}
TEST(Recovery, ARotationAfterARestoreTakesAFreshNumber) { testing::run_task(put_back_under_a_running_vault); }

Task<> storage_lost(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  Kept kept;
  std::string root;
  {
    TestVault vault(storage, directory.path() / "material");
    co_await vault.open();
    root = vault.root();
    co_await keep(vault, "app", "first", kept);
    co_await vault.post("transit/keys/app/rotate");
    co_await keep(vault, "app", "second", kept);
  }
  storage.rows().clear();
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  EXPECT_EQ(vault.root(), root);
  co_await expect_kept(vault, "app", kept, "after the loss");
}
TEST(Recovery, KeyMaterialAloneBringsAllKeysBack) { testing::run_task(storage_lost); }

Task<> older_copies(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  Kept kept;
  fs::path copies = directory.path() / "material/keyring";
  {
    TestVault vault(storage, directory.path() / "material");
    co_await vault.open();
    co_await keep(vault, "app", "first", kept);
    fs::copy(copies, directory.path() / "old", fs::copy_options::recursive);
    co_await vault.post("transit/keys/app/rotate");
    co_await keep(vault, "app", "second", kept);
  }
  fs::remove_all(copies);
  fs::rename(directory.path() / "old", copies);
  {
    TestVault vault(storage, directory.path() / "material");
    co_await vault.open();
    co_await expect_kept(vault, "app", kept, "with older copies");
    Reply key = co_await vault.get("transit/keys/app");
    EXPECT_EQ(key.number("data.latest_version"), 2) << "an older copy replaces nothing";
  }
  // The start wrote what the old copies lacked: they alone are enough again.
  storage.rows().clear();
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  co_await expect_kept(vault, "app", kept, "from the completed copies");
}
TEST(Recovery, OlderCopiesReplaceNothingAndAreCompleted) { testing::run_task(older_copies); }

/// Does `act` with the storage failing at the n-th write from now, for every n until it succeeds; after each
/// failure a new vault starts.
Task<> crash_everywhere(std::function<Task<Reply>(TestVault&)> act) {
  bool succeeded = false;
  for (std::size_t writes = 0; !succeeded; ++writes) {
    EXPECT_LT(writes, 10u);
    if (writes >= 10) co_return;
    Directory directory;
    MemoryStorage storage;
    Kept kept;
    std::string when = "crash before write " + std::to_string(writes + 1);
    {
      TestVault vault(storage, directory.path() / "material");
      co_await vault.open();
      co_await keep(vault, "app", "before", kept);
      storage.fail_after_writes(writes);
      Reply reply = co_await act(vault);
      succeeded = reply.status < 300;
      EXPECT_TRUE(succeeded || reply.status == 503) << when << ": " << reply.error();
      co_await keep(vault, "app", "after", kept);
    }
    MemoryStorage rest;
    rest.rows() = storage.rows();
    TestVault vault(rest, directory.path() / "material");
    co_await vault.open();
    co_await expect_kept(vault, "app", kept, when);
    Reply again = co_await act(vault);
    EXPECT_LT(again.status, 300) << when << ": " << again.error();
    co_await keep(vault, "app", "again", kept);
    // Whatever was sealed so far opens from the key material alone: its copy was there before its first use.
    MemoryStorage empty;
    TestVault restored(empty, directory.path() / "material");
    co_await restored.open();
    co_await expect_kept(restored, "app", kept, when + ", from copies");
  }
}

Task<Reply> rotate_key(TestVault& vault) { return vault.post("transit/keys/app/rotate"); }
Task<Reply> rotate_ring(TestVault& vault) { return vault.post("sys/rotate"); }
Task<Reply> make_key(TestVault& vault) { return vault.post("transit/keys/other"); }
TEST(Recovery, ACrashAtAnyWriteOfARotationLosesNothing) {
  testing::run_task([](net::Executor) { return crash_everywhere(rotate_key); });
}
TEST(Recovery, ACrashAtAnyWriteOfAKeyringRotationLosesNothing) {
  testing::run_task([](net::Executor) { return crash_everywhere(rotate_ring); });
}
TEST(Recovery, ACrashAtAnyWriteOfANewKeyLosesNothing) {
  testing::run_task([](net::Executor) { return crash_everywhere(make_key); });
}

Task<> crash_while_made(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  storage.fail_after_writes(0);
  {
    TestVault vault(storage, directory.path() / "material");
    bool thrown = false;
    try {
      co_await vault.open();
    } catch (const Error& error) {
      thrown = error.code() == Code::unavailable;
    }
    EXPECT_TRUE(thrown);
  }
  MemoryStorage rest;
  TestVault vault(rest, directory.path() / "material");
  co_await vault.open();
  EXPECT_EQ(co_await vault.decrypt("app", co_await vault.encrypt("app", "well")), "well");
}
TEST(Recovery, ACrashWhileItIsMadeIsTakenUp) { testing::run_task(crash_while_made); }

Task<> no_copy_no_use(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  Kept kept;
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  co_await keep(vault, "app", "first", kept);
  fs::path copies = directory.path() / "material/keyring";
  fs::rename(copies, directory.path() / "away");
  Reply rotated = co_await vault.post("transit/keys/app/rotate");
  EXPECT_EQ(rotated.status, 500);
  Reply ring = co_await vault.post("sys/rotate");
  EXPECT_EQ(ring.status, 500);
  Reply made = co_await vault.post("transit/encrypt/other", R"({"plaintext":""})");
  EXPECT_EQ(made.status, 500);
  Reply other = co_await vault.get("transit/keys/other");
  EXPECT_EQ(other.status, 404) << "a key without a copy is not in use";
  Reply key = co_await vault.get("transit/keys/app");
  EXPECT_EQ(key.number("data.latest_version"), 1);
  co_await keep(vault, "app", "still under the first version", kept);
  EXPECT_TRUE(kept.back().first.starts_with("vault:v1:"));
  fs::rename(directory.path() / "away", copies);
  Reply again = co_await vault.post("transit/keys/app/rotate");
  EXPECT_EQ(again.number("data.latest_version"), 2);
  co_await expect_kept(vault, "app", kept, "afterwards");
}
TEST(Recovery, WithoutADurableCopyNoVersionComesIntoUse) { testing::run_task(no_copy_no_use); }

Task<> deleted_stays_deleted(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  Kept kept;
  {
    TestVault vault(storage, directory.path() / "material");
    co_await vault.open();
    co_await keep(vault, "app", "secret", kept);
    co_await vault.post("transit/keys/app/config", R"({"deletion_allowed":true})");
    Reply deleted = co_await vault.as(vault.root(), http::Method::del, "transit/keys/app", "");
    EXPECT_EQ(deleted.status, 204);
  }
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  Reply gone = co_await vault.get("transit/keys/app");
  EXPECT_EQ(gone.status, 404) << "copies do not bring a deleted key back";
  co_await vault.post("transit/keys/app");
  EXPECT_TRUE((co_await vault.decrypt("app", kept[0].first)).starts_with("error: "));
  std::string fresh = co_await vault.encrypt("app", "new");
  TestVault again(storage, directory.path() / "material");
  co_await again.open();
  EXPECT_EQ(co_await again.decrypt("app", fresh), "new");
}
TEST(Recovery, ADeletedKeyStaysDeleted) { testing::run_task(deleted_stays_deleted); }

Task<> two_vaults(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  TestVault first(storage, directory.path() / "first");
  co_await first.open();
  co_await first.encrypt("app", "x");
  // The second node got the unseal file when it was set up, and keeps copies of its own.
  fs::create_directory(directory.path() / "second");
  fs::permissions(directory.path() / "second", fs::perms::owner_all);
  fs::copy(directory.path() / "first/unseal.json", directory.path() / "second/unseal.json");
  TestVault second(storage, directory.path() / "second");
  co_await second.open();
  Kept kept;
  for (int round = 0; round < 3; ++round) {
    co_await first.post("transit/keys/app/rotate");
    co_await keep(first, "app", "by the first, " + std::to_string(round), kept);
    co_await expect_kept(second, "app", kept, "at the second");
    co_await second.post("transit/keys/app/rotate");
    co_await second.post("sys/rotate");
    co_await keep(second, "app", "by the second, " + std::to_string(round), kept);
    co_await expect_kept(first, "app", kept, "at the first");
    std::string key = "key-" + std::to_string(round);
    std::string ciphertext = co_await second.encrypt(key, "shared");
    EXPECT_EQ(co_await first.decrypt(key, ciphertext), "shared");
  }
  Reply key = co_await first.get("transit/keys/app");
  EXPECT_EQ(key.number("data.latest_version"), 7);
  // Each node's own key material is enough for what it sealed itself.
  MemoryStorage empty;
  TestVault restored(empty, directory.path() / "second");
  co_await restored.open();
  co_await expect_kept(restored, "app", kept, "from the second's copies");
}
TEST(Recovery, TwoVaultsOverOneStorageShareEveryKey) { testing::run_task(two_vaults); }

Task<> unreadable_copy(net::Executor) {
  Directory directory;
  MemoryStorage storage;
  Kept kept;
  {
    TestVault vault(storage, directory.path() / "material");
    co_await vault.open();
    co_await keep(vault, "app", "value", kept);
  }
  std::ofstream(directory.path() / "material/keyring/0099.sealed") << "terrane-keyring-1\nnonsense";
  std::ofstream(directory.path() / "material/keyring/notes.txt") << "hello";
  fs::permissions(directory.path() / "material/keyring/0099.sealed",
                  fs::perms::owner_read | fs::perms::owner_write);
  TestVault vault(storage, directory.path() / "material");
  co_await vault.open();
  co_await expect_kept(vault, "app", kept, "beside a damaged copy");
  Reply rotated = co_await vault.post("transit/keys/app/rotate");
  EXPECT_EQ(rotated.status, 200);
  EXPECT_TRUE(fs::exists(directory.path() / "material/keyring/0099.sealed"))
      << "what does not open is left alone";
  EXPECT_TRUE(fs::exists(directory.path() / "material/keyring/0100.sealed"));
}
TEST(Recovery, ADamagedCopyIsLeftAlone) { testing::run_task(unreadable_copy); }

Task<> pruned(net::Executor) {
  Directory directory;
  KeyMaterial material({directory.path() / "material", 3});
  co_await material.prepare();
  Secret key(std::string(32, 'k'));
  KeyringCopy copy;
  copy.keyring = make_keyring();
  KeyringCopy foreign;
  foreign.keyring = make_keyring();
  co_await material.write_copy(foreign, key);
  for (int i = 0; i < 8; ++i) {
    copy.transit["k" + std::to_string(i)] = make_transit_key("k" + std::to_string(i));
    co_await material.write_copy(copy, key);
  }
  std::vector<KeyringCopy> copies = co_await material.read_copies(key);
  EXPECT_EQ(copies.size(), 4u) << "three newest, and the one that holds a key of its own";
  EXPECT_EQ(copies.front().transit.size(), 8u);
  EXPECT_EQ(copies.back().keyring.cluster_id, foreign.keyring.cluster_id);
}
TEST(Recovery, OldCopiesGoOnlyWhenTheNewestHoldsAllOfThem) { testing::run_task(pruned); }

}  // namespace
}  // namespace terrane::transit
