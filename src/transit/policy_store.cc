#include "transit/policy_store.h"

#include "base/error.h"

namespace terrane::transit {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view row_prefix = "policy/";
constexpr std::size_t most_held = 1000;
// How long a policy serves while the storage is away.
constexpr auto stale_limit = 1h;

std::string row_path(const std::string& name) { return std::string(row_prefix) + name; }

}  // namespace

PolicyStore::PolicyStore(Barrier& barrier) : barrier_(barrier), cache_(1s, stale_limit, most_held) {}

Task<PolicyPointer> PolicyStore::load(std::string name) {
  std::optional<Barrier::Entry> entry = co_await barrier_.get(row_path(name));
  if (entry) co_return std::make_shared<const Policy>(parse_policy(std::move(name), entry->value.reveal()));
  if (name == "default") co_return std::make_shared<const Policy>(default_policy());
  co_return nullptr;
}

Task<PolicyPointer> PolicyStore::find(std::string name) {
  ReadCache<Policy>::Load reader = [this, name] { return load(name); };
  co_return co_await cache_.get(name, std::move(reader));
}

Task<> PolicyStore::put(std::string name, std::string text) {
  if (name == "root") throw Error(Code::invalid, "cannot update \"root\" policy");
  Policy policy = parse_policy(name, text);
  std::string path = row_path(name);
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    std::optional<Barrier::Entry> entry = co_await barrier_.get(path);
    std::optional<std::string> expected;
    if (entry) expected = std::move(entry->raw);
    if (!co_await barrier_.put(path, Secret(text), std::move(expected))) continue;
    cache_.store(name, std::make_shared<const Policy>(std::move(policy)));
    co_return;
  }
  throw_contended(path);
}

Task<> PolicyStore::remove(std::string name) {
  if (name == "root" || name == "default")
    throw Error(Code::invalid, "cannot delete \"" + name + "\" policy");
  std::string path = row_path(name);
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    std::optional<Barrier::Entry> entry = co_await barrier_.get(path);
    if (entry && !co_await barrier_.erase(path, std::move(entry->raw))) continue;
    cache_.erase(name);
    co_return;
  }
  throw_contended(path);
}

Task<std::vector<std::string>> PolicyStore::names() {
  std::vector<std::string> names{"default", "root"};
  for (const std::string& path : co_await barrier_.list(std::string(row_prefix))) {
    std::string name = path.substr(row_prefix.size());
    if (name != "default") names.push_back(std::move(name));
  }
  std::sort(names.begin(), names.end());
  co_return names;
}

Task<std::vector<PolicyPointer>> PolicyStore::all_of(std::vector<std::string> names) {
  std::vector<PolicyPointer> policies;
  for (std::string& name : names) {
    if (PolicyPointer policy = co_await find(std::move(name))) policies.push_back(std::move(policy));
  }
  co_return policies;
}

}  // namespace terrane::transit
