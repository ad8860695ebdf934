#pragma once
// What tests of states and runs share: the workspaces' stage with an archivist and a vault in memory.
#include "object/archivist_client.h"
#include "object/fake_archivist.h"
#include "testing/child.h"
#include "vault_client/fake_vault.h"
#include "workspace/testing_stage.h"

namespace terrane::state::test {

const std::string origin = "https://terrane.test:9443";

struct Stage : workspace::test::Stage {
  testing::TestDirectory directory;
  object::UrlSigner urls;
  object::FakeArchivist archivist_role;
  object::ArchivistClient archivist;
  vault_client::FakeVault vault;

  Stage(net::Executor on, const testing::TestDatabase& at)
      : workspace::test::Stage(on, at),
        directory("stage", ""),
        urls(Secret(std::string(32, 'k'))),
        archivist_role(on, database, urls, directory.path() / "archivist"),
        archivist(on, directory.path() / "archivist") {}

  Task<> prepare() {
    co_await workspace::test::Stage::prepare();
    for (const char* key : {"terrane", "archivist"}) co_await vault.ensure_key(key);
  }

  /// What a signed URL allows; it must be absolute on the platform's own name.
  object::Grant grant_of(const std::string& url) const {
    if (!url.starts_with(origin + "/_archivist/v1/")) throw std::runtime_error("no URL of ours: " + url);
    std::optional<object::Grant> grant = urls.verify(url.substr(url.rfind('/') + 1));
    if (!grant) throw std::runtime_error("not signed: " + url);
    return *grant;
  }
};

}  // namespace terrane::state::test
