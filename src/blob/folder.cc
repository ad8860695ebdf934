#include "blob/folder.h"

#include <algorithm>
#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <memory>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <system_error>
#include <unistd.h>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "crypto/random.h"

namespace terrane::blob {
namespace {

constexpr mode_t open_mode = 0640;
constexpr mode_t sealed_mode = 0440;

bool lock_now(const File& file) { return flock(file.descriptor(), LOCK_EX | LOCK_NB) == 0; }

void sync_folder(const File& folder, std::string_view name) {
  if (fsync(folder.descriptor()) != 0) throw_errno("sync the folder of", name, errno);
}

std::string parent(const std::string& name) {
  std::size_t slash = name.rfind('/');
  return slash == std::string::npos ? "." : name.substr(0, slash);
}

struct Closer {
  void operator()(DIR* folder) const { closedir(folder); }
};

File open_folder(const std::filesystem::path& path) {
  std::error_code failure;
  std::filesystem::create_directories(path, failure);
  if (failure) throw_errno("make the folder", path.native(), failure.value());
  File folder(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) throw_errno("open the folder", path.native(), errno);
  return folder;
}

}  // namespace

File::File(File&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}

File& File::operator=(File&& other) noexcept {
  if (this != &other) {
    close();
    descriptor_ = std::exchange(other.descriptor_, -1);
  }
  return *this;
}

File::~File() { close(); }

void File::close() noexcept {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
}

void throw_errno(std::string_view step, std::string_view name, int error) {
  bool full = error == ENOSPC || error == EDQUOT;
  const char* detail =
      full ? "The disk of the blob storage is full." : "The blob storage does not work at the moment.";
  std::string context =
      std::string(step) + " " + std::string(name) + ": " + std::generic_category().message(error);
  throw Error(Code::unavailable, detail).add_context(context + " (errno " + std::to_string(error) + ")");
}

FileStatus status(const File& file, std::string_view name) {
  struct stat found{};
  if (fstat(file.descriptor(), &found) != 0) throw_errno("look at", name, errno);
  return {static_cast<std::uint64_t>(found.st_size), (found.st_mode & S_IWUSR) == 0, found.st_nlink == 0};
}

void write_at(const File& file, std::uint64_t position, std::string_view bytes, std::string_view name) {
  while (!bytes.empty()) {
    ssize_t count = pwrite(file.descriptor(), bytes.data(), bytes.size(), static_cast<off_t>(position));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) throw_errno("write", name, errno);
    position += static_cast<std::uint64_t>(count);
    bytes.remove_prefix(static_cast<std::size_t>(count));
  }
}

void seal(const File& file, std::string_view name) {
  if (fchmod(file.descriptor(), sealed_mode) != 0) throw_errno("seal", name, errno);
  if (fsync(file.descriptor()) != 0) throw_errno("sync", name, errno);
}

Folder::Folder(const std::filesystem::path& path)
    : incoming_(open_folder(path / "incoming")), objects_(open_folder(path / "objects")) {
  sync_folder(open_folder(path), path.native());
  sweep();
}

void Folder::sweep() const {
  int copy = openat(incoming_.descriptor(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (copy < 0) throw_errno("open", "incoming", errno);
  std::unique_ptr<DIR, Closer> folder(fdopendir(copy));
  if (!folder) throw_errno("list", "incoming", errno);
  while (const dirent* entry = readdir(folder.get())) {
    if (entry->d_name[0] == '.') continue;
    File file(openat(incoming_.descriptor(), entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    // A writer that lives, of this or another process, holds its lock.
    if (file.is_open() && lock_now(file)) unlinkat(incoming_.descriptor(), entry->d_name, 0);
  }
}

File Folder::create_incoming(std::string& file_name) const {
  while (true) {
    file_name = hex(crypto::random_bytes(16));
    File file(
        openat(incoming_.descriptor(), file_name.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, open_mode));
    if (!file.is_open()) throw_errno("create", file_name, errno);
    // The sweep of a process that starts just now may have been faster than our lock; then this name is lost.
    if (lock_now(file) && !status(file, file_name).removed) return file;
  }
}

void Folder::remove_incoming(const std::string& file_name) const noexcept {
  unlinkat(incoming_.descriptor(), file_name.c_str(), 0);
}

void Folder::publish(const std::string& file_name, const std::string& name) const {
  auto link_it = [&] {
    return linkat(incoming_.descriptor(), file_name.c_str(), objects_.descriptor(), name.c_str(), 0) == 0;
  };
  // A link, because unlike a rename it never replaces what is there.
  bool linked = link_it();
  if (!linked && errno == ENOENT) {
    make_parents(name);
    linked = link_it();
  }
  if (!linked && errno == EEXIST)
    throw Error(Code::conflict, "An object of this name exists.").add_context(name);
  if (!linked) throw_errno("link", name, errno);
  try {
    sync_parent(name);
  } catch (...) {
    // The caller hears that nothing was committed, so nothing may be seen.
    unlinkat(objects_.descriptor(), name.c_str(), 0);
    throw;
  }
  remove_incoming(file_name);
}

std::optional<File> Folder::open(const std::string& name) const {
  int flags = O_CLOEXEC | O_NOFOLLOW;
  File file(openat(objects_.descriptor(), name.c_str(), O_RDWR | flags));
  if (!file.is_open() && errno == EACCES)
    file = File(openat(objects_.descriptor(), name.c_str(), O_RDONLY | flags));
  if (file.is_open()) return file;
  if (errno == ENOENT || errno == EISDIR || errno == ENOTDIR) return std::nullopt;
  throw_errno("open", name, errno);
}

File Folder::open_or_make(const std::string& name) const {
  if (auto file = open(name)) return std::move(*file);
  auto make = [&] {
    return File(
        openat(objects_.descriptor(), name.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, open_mode));
  };
  File file = make();
  if (!file.is_open() && errno == ENOENT) {
    make_parents(name);
    file = make();
  }
  if (!file.is_open()) throw_errno("create", name, errno);
  return file;
}

std::optional<std::uint64_t> Folder::size(const std::string& name) const {
  struct stat found{};
  if (fstatat(objects_.descriptor(), name.c_str(), &found, AT_SYMLINK_NOFOLLOW) == 0) {
    if (!S_ISREG(found.st_mode)) return std::nullopt;
    return static_cast<std::uint64_t>(found.st_size);
  }
  if (errno == ENOENT || errno == ENOTDIR) return std::nullopt;
  throw_errno("look at", name, errno);
}

void Folder::remove(const std::string& name) const {
  if (unlinkat(objects_.descriptor(), name.c_str(), 0) == 0) return sync_parent(name);
  if (errno != ENOENT && errno != ENOTDIR && errno != EISDIR) throw_errno("remove", name, errno);
}

void Folder::sync_parent(const std::string& name) const {
  File folder(openat(objects_.descriptor(), parent(name).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.is_open()) throw_errno("open the folder of", name, errno);
  sync_folder(folder, name);
}

void Folder::make_parents(const std::string& name) const {
  for (std::size_t slash = name.find('/'); slash != std::string::npos; slash = name.find('/', slash + 1)) {
    std::string folder = name.substr(0, slash);
    if (mkdirat(objects_.descriptor(), folder.c_str(), 0750) != 0 && errno != EEXIST)
      throw_errno("make the folder", folder, errno);
    sync_parent(folder);
  }
}

/// What a folder holds, folders with a slash behind their name, in the order of bytes: then a walk meets the
/// names of objects in their order.
std::vector<std::string> Folder::entries(const std::string& folder) const {
  int opened = openat(objects_.descriptor(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (opened < 0 && (errno == ENOENT || errno == ENOTDIR)) return {};
  if (opened < 0) throw_errno("list", folder, errno);
  std::unique_ptr<DIR, Closer> open(fdopendir(opened));
  if (!open) throw_errno("list", folder, errno);
  std::vector<std::string> found;
  while (const dirent* entry = readdir(open.get())) {
    if (entry->d_name[0] == '.') continue;
    struct stat status{};
    if (fstatat(opened, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) continue;  // removed meanwhile
    if (S_ISDIR(status.st_mode)) found.push_back(std::string(entry->d_name) + "/");
    if (S_ISREG(status.st_mode)) found.emplace_back(entry->d_name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

void Folder::list_into(const std::string& folder, const std::string& after, std::size_t limit,
                       std::vector<std::string>& names) const {
  for (const std::string& entry : entries(folder)) {
    if (names.size() >= limit) return;
    std::string path = folder + entry;
    const bool behind = path > after;
    if (entry.back() != '/') {
      if (behind) names.push_back(std::move(path));
    } else if (behind || after.starts_with(path)) {
      list_into(path, after, limit, names);
    }
  }
}

std::vector<std::string> Folder::list(const std::string& prefix, const std::string& after,
                                      std::size_t limit) const {
  std::vector<std::string> names;
  list_into(prefix, after, limit, names);
  return names;
}

std::uint64_t Folder::available() const {
  struct statvfs found{};
  if (fstatvfs(objects_.descriptor(), &found) != 0)
    throw_errno("ask for the free space of", "objects", errno);
  return std::uint64_t{found.f_bavail} * found.f_frsize;
}

}  // namespace terrane::blob
