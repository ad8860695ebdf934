#pragma once
#include <list>
#include <string>
#include <unordered_map>

#include "base/secret.h"
#include "net/io.h"
#include "vault_client/vault.h"

namespace terrane::archivist {

/// The transit key that wraps the data keys of objects.
constexpr const char* transit_key = "archivist";

/// Data keys that vault unwrapped, the least recently used forgotten first: at most 256, for at most 5
/// minutes.
class KeyCache {
 public:
  explicit KeyCache(vault_client::Vault& vault) : vault_(vault) {}

  /// The data key in clear. Suspends. Throws Error{unavailable} when vault is away, Error{internal} when the
  /// wrapped form is damaged.
  Task<Secret> unwrap(std::string wrapped);
  std::size_t size() const noexcept { return entries_.size(); }

 private:
  struct Entry {
    std::string wrapped;
    Secret key;
    net::Clock::time_point until;
  };
  void remember(std::string wrapped, Secret key);
  vault_client::Vault& vault_;
  std::list<Entry> entries_;  // the last used first
  std::unordered_map<std::string, std::list<Entry>::iterator> by_wrapped_;
};

}  // namespace terrane::archivist
