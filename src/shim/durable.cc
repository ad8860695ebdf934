#include "shim/durable.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "sandbox/descriptor.h"
#include "sealed/stream.h"
#include "shim/run_files.h"

namespace terrane::shim {
namespace {

namespace fs = std::filesystem;
using sandbox::Descriptor;

[[noreturn]] void refuse(std::string_view what, const fs::path& path) {
  throw Error(Code::internal,
              std::string(what) + " " + path.string() + " failed: " + std::strerror(errno) + ".");
}

Descriptor create(const fs::path& path) {
  Descriptor file(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) refuse("Making", path);
  return file;
}

// Makes what was written under `fresh` durable under its name.
void settle(const Descriptor& file, const fs::path& fresh, const fs::path& path) {
  if (::fdatasync(file.get()) != 0) refuse("Syncing", fresh);
  if (::rename(fresh.c_str(), path.c_str()) != 0) refuse("Renaming", fresh);
  sync_directory(path.parent_path());
}

fs::path fresh_name(const fs::path& path) { return path.string() + ".new"; }

}  // namespace

void sync_directory(const fs::path& directory) {
  Descriptor opened(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!opened || ::fsync(opened.get()) != 0) refuse("Syncing", directory);
}

void write_durably(const fs::path& path, std::string_view content) {
  fs::path fresh = fresh_name(path);
  Descriptor file = create(fresh);
  write_fully(file.get(), content, fresh.string());
  settle(file, fresh, path);
}

void write_whole(const fs::path& path, std::string_view content) {
  fs::path fresh = fresh_name(path);
  Descriptor file = create(fresh);
  write_fully(file.get(), content, fresh.string());
  if (::rename(fresh.c_str(), path.c_str()) != 0) refuse("Renaming", fresh);
}

std::optional<std::string> read_file(const fs::path& path, std::size_t limit) {
  Descriptor file(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!file) {
    if (errno == ENOENT) return std::nullopt;
    refuse("Opening", path);
  }
  std::string content = read_at(file.get(), 0, limit + 1, path.string());
  if (content.size() > limit)
    throw Error(Code::internal, path.string() + " is larger than " + std::to_string(limit) + " bytes.");
  return content;
}

struct SealedFile::Impl {
  fs::path path, fresh;
  sealed::Sealer sealer;
  Descriptor file;
  bool committed = false;
};

SealedFile::SealedFile(fs::path path, const sealed::DataKey& key, const sealed::Identity& identity)
    : impl_(new Impl{path, fresh_name(path), sealed::Sealer(key, identity), create(fresh_name(path))}) {
  write_fully(impl_->file.get(), impl_->sealer.begin(), impl_->fresh.string());
}

SealedFile::~SealedFile() {
  if (!impl_->committed) ::unlink(impl_->fresh.c_str());
}

void SealedFile::write(std::string_view plaintext) {
  write_fully(impl_->file.get(), impl_->sealer.update(plaintext), impl_->fresh.string());
}

void SealedFile::commit() {
  write_fully(impl_->file.get(), impl_->sealer.finish(), impl_->fresh.string());
  settle(impl_->file, impl_->fresh, impl_->path);
  impl_->committed = true;
}

}  // namespace terrane::shim
