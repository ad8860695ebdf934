#include "worker/engine_store.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "net/io.h"
#include "sandbox/descriptor.h"
#include "shim/durable.h"
#include "shim/run_files.h"

namespace terrane::worker {
namespace {

namespace fs = std::filesystem;

struct Entry {
  fs::path path;
  std::string sha256;
};

json::array manifest_of(const fs::path& store) {
  std::optional<std::string> text = shim::read_file(store / "manifest.json", 1024 * 1024);
  json::value manifest = text ? parse_json(*text) : json::value();
  if (!manifest.is_array())
    throw Error(Code::internal, "The engine store " + store.string() + " has no manifest.");
  return manifest.get_array();
}

Entry look_up(const fs::path& store, const std::string& engine, const std::string& version) {
  json::array manifest = manifest_of(store);
  for (const json::value& item : manifest) {
    if (!item.is_object()) continue;
    const json::object& object = item.get_object();
    if (find_string(object, "engine") != engine || find_string(object, "version") != version) continue;
    return {store / require_string(object, "path"), lower(require_string(object, "sha256"))};
  }
  throw Error(Code::unprocessable, "The engine " + engine + " " + version + " is not in this node's store.");
}

std::string identity_of(int descriptor) {
  struct stat status{};
  if (::fstat(descriptor, &status) != 0) return {};
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino) + ":" +
         std::to_string(status.st_size) + ":" + std::to_string(status.st_mtim.tv_sec) + "." +
         std::to_string(status.st_mtim.tv_nsec);
}

std::string hash_of(int descriptor) {
  crypto::Hasher hasher(crypto::HashKind::sha256);
  std::uint64_t position = 0;
  while (true) {
    std::string piece = shim::read_at(descriptor, position, 1024 * 1024, "an engine");
    if (piece.empty()) return hex(hasher.finish());
    hasher.update(piece);
    position += piece.size();
  }
}

}  // namespace

Task<fs::path> EngineStore::find(std::string engine, std::string version) {
  Entry entry = look_up(store_, engine, version);
  sandbox::Descriptor file(::open(entry.path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) throw Error(Code::internal, "The engine " + entry.path.string() + " cannot be opened.");
  std::string identity = identity_of(file.get());
  if (verified_[entry.path] == identity + entry.sha256) co_return entry.path;
  std::string hash = co_await net::blocking_result<std::string>([&] { return hash_of(file.get()); });
  if (hash != entry.sha256)
    throw Error(Code::internal,
                "The engine " + entry.path.string() + " does not have the hash of the manifest.");
  verified_[entry.path] = identity + entry.sha256;
  co_return entry.path;
}

Task<> EngineStore::warm_up() {
  try {
    json::array manifest = manifest_of(store_);
    for (const json::value& item : manifest) {
      if (!item.is_object()) continue;
      co_await find(find_string(item.get_object(), "engine").value_or(""),
                    find_string(item.get_object(), "version").value_or(""));
    }
  } catch (const Error& failure) {
    log::warn("an engine cannot be used", {{"error", failure.what()}});
  }
}

}  // namespace terrane::worker
