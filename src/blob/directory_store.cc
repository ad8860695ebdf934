#include "blob/directory_store.h"

#include <cerrno>
#include <sys/file.h>
#include <unistd.h>
#include <unordered_map>

#include "blob/directory_files.h"
#include "blob/folder.h"
#include "blob/log_appender.h"

namespace terrane::blob {
namespace {

constexpr std::size_t waiting_limit = 64 * 1024 * 1024;  // bytes of appends in memory
constexpr std::size_t known_limit = 4096;                // logs whose durable size is remembered

// Appends that become durable together.
struct Batch {
  explicit Batch(net::Executor executor) : done(std::move(executor)) {}
  std::vector<Append> appends;
  std::size_t bytes = 0;
  bool finished = false;
  net::Event done;
};

}  // namespace

struct DirectoryStore::Core {
  Core(net::Executor where, const std::filesystem::path& path, DirectoryOptions wanted)
      : executor(std::move(where)), folder(std::make_shared<const Folder>(path)), options(wanted) {}

  void remember(const std::string& name, std::uint64_t size) {
    if (durable.size() >= known_limit) durable.clear();
    std::uint64_t& known = durable[name];
    known = std::max(known, size);
  }

  net::Executor executor;
  std::shared_ptr<const Folder> folder;
  DirectoryOptions options;
  std::shared_ptr<Batch> collecting;
  bool flushing = false;
  std::unordered_map<std::string, std::uint64_t> durable;  // a log up to here need not be synced for a reader
};

namespace {

using Core = DirectoryStore::Core;

Task<> flush(std::shared_ptr<Core> core) {
  while (std::shared_ptr<Batch> batch = std::move(core->collecting)) {
    std::function<void()> work = [core, batch] {
      append_all(*core->folder, core->options.reserve, batch->appends);
    };
    co_await net::blocking(std::move(work));
    for (const Append& append : batch->appends) {
      if (!append.failure) core->remember(append.name, append.size);
    }
    batch->finished = true;
    batch->done.notify();
  }
  core->flushing = false;
}

struct Opened {
  File file;
  std::uint64_t size = 0;
};

// Opens what is there up to its durable end: what a reader was shown must not be gone after a power failure.
Task<std::optional<Opened>> open_durable(std::shared_ptr<Core> core, std::string name) {
  auto known = core->durable.find(name);
  std::uint64_t durable = known == core->durable.end() ? 0 : known->second;
  std::function<std::optional<Opened>()> work = [&core, &name, durable]() -> std::optional<Opened> {
    auto file = core->folder->open(name);
    if (!file) return std::nullopt;
    FileStatus found = status(*file, name);
    if (!found.sealed && found.size > durable && fdatasync(file->descriptor()) != 0)
      throw_errno("sync", name, errno);
    return Opened{std::move(*file), found.size};
  };
  std::optional<Opened> opened = co_await net::blocking_result<std::optional<Opened>>(std::move(work));
  if (opened) core->remember(name, opened->size);
  co_return opened;
}

}  // namespace

DirectoryStore::DirectoryStore(net::Executor executor, const std::filesystem::path& path,
                               DirectoryOptions options)
    : core_(std::make_shared<Core>(std::move(executor), path, options)) {}
DirectoryStore::~DirectoryStore() = default;

Task<std::unique_ptr<Writer>> DirectoryStore::create(std::string name) {
  check_name(name);
  auto writer = std::make_unique<FileWriter>(core_->folder, std::move(name), core_->options.reserve);
  co_await writer->begin();
  co_return writer;
}

Task<std::unique_ptr<Reader>> DirectoryStore::open(std::string name, std::uint64_t offset) {
  check_name(name);
  std::optional<Opened> opened = co_await open_durable(core_, name);
  if (!opened) throw Error(Code::not_found, "There is no such object.").add_context(name);
  if (offset > opened->size)
    throw Error(Code::invalid, "The offset lies behind the object's end.").add_context(name);
  co_return std::make_unique<FileReader>(std::move(opened->file), std::move(name), offset, opened->size);
}

Task<std::optional<std::uint64_t>> DirectoryStore::size(std::string name) {
  check_name(name);
  std::shared_ptr<Core> core = core_;
  std::function<std::optional<std::uint64_t>()> work = [&core, &name] { return core->folder->size(name); };
  co_return co_await net::blocking_result<std::optional<std::uint64_t>>(std::move(work));
}

Task<> DirectoryStore::remove(std::string name) {
  check_name(name);
  std::shared_ptr<Core> core = core_;
  std::function<void()> work = [&core, &name] { core->folder->remove(name); };
  co_await net::blocking(std::move(work));
  core->durable.erase(name);
}

Task<std::vector<std::string>> DirectoryStore::list(std::string prefix, std::string after,
                                                    std::size_t limit) {
  check_name(prefix + "x");
  std::shared_ptr<Core> core = core_;
  std::function<std::vector<std::string>()> work = [&] { return core->folder->list(prefix, after, limit); };
  co_return co_await net::blocking_result<std::vector<std::string>>(std::move(work));
}

Task<std::uint64_t> DirectoryStore::append(std::string name, std::uint64_t position, std::string bytes) {
  check_name(name);
  if (bytes.size() > append_limit) throw Error(Code::too_large, "One append can have at most 8 MiB.");
  std::shared_ptr<Core> core = core_;
  if (!core->collecting) core->collecting = std::make_shared<Batch>(core->executor);
  std::shared_ptr<Batch> batch = core->collecting;
  if (batch->bytes + bytes.size() > waiting_limit)
    throw Error(Code::unavailable, "The blob storage is too slow at the moment.");
  batch->bytes += bytes.size();
  std::size_t place = batch->appends.size();
  batch->appends.push_back({std::move(name), position, std::move(bytes)});
  if (!core->flushing) {
    core->flushing = true;
    net::spawn(core->executor, "append to logs", flush(core));
  }
  while (!batch->finished) co_await batch->done.wait_for(std::chrono::minutes(1));
  const Append& append = batch->appends[place];
  if (append.failure) std::rethrow_exception(append.failure);
  co_return append.size;
}

Task<std::uint64_t> DirectoryStore::log_size(std::string name) {
  check_name(name);
  std::optional<Opened> opened = co_await open_durable(core_, std::move(name));
  co_return opened ? opened->size : 0;
}

Task<> DirectoryStore::seal_log(std::string name) {
  check_name(name);
  std::shared_ptr<Core> core = core_;
  std::function<void()> work = [&core, &name] {
    auto file = core->folder->open(name);
    if (!file) throw Error(Code::not_found, "There is no such log.").add_context(name);
    if (status(*file, name).sealed) return;
    // The lock of an append: none is halfway when the permission goes.
    while (flock(file->descriptor(), LOCK_EX) != 0) {
      if (errno != EINTR) throw_errno("lock", name, errno);
    }
    seal(*file, name);
  };
  co_await net::blocking(std::move(work));
}

}  // namespace terrane::blob
