#include "shim/run_files.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

namespace terrane::shim {
namespace {

using sandbox::Descriptor;

[[noreturn]] void refuse(std::string_view what, std::string_view name, int number) {
  throw Error(Code::internal,
              std::string(what) + " " + std::string(name) + " failed: " + std::strerror(number) + ".");
}

std::string_view last_part(std::string_view name) { return name.substr(name.rfind('/') + 1); }

}  // namespace

RunFiles::RunFiles(const std::filesystem::path& root)
    : root_(::open(root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)) {
  if (!root_) refuse("Opening", root.string(), errno);
}

int RunFiles::open_beneath(std::string_view name, std::uint64_t flags, std::uint64_t mode) const {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.mode = mode;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  std::string path(name.empty() ? "." : name);
  long result = -1;
  // EAGAIN: something was renamed while the kernel looked whether the name stays beneath. A sandbox may do
  // that for ever; we do not.
  for (int attempt = 0; attempt < 100; ++attempt) {
    result = ::syscall(SYS_openat2, root_.get(), path.c_str(), &how, sizeof how);
    if (result >= 0 || (errno != EAGAIN && errno != EINTR)) break;
  }
  return static_cast<int>(result);
}

Descriptor RunFiles::parent_of(std::string_view name) const {
  std::size_t slash = name.rfind('/');
  std::string_view parent = slash == std::string_view::npos ? std::string_view() : name.substr(0, slash);
  Descriptor directory(open_beneath(parent, O_PATH | O_DIRECTORY, 0));
  if (!directory && errno != ENOENT) refuse("Opening the directory of", name, errno);
  return directory;
}

std::optional<Descriptor> RunFiles::open(std::string_view name, Holes holes) const {
  // Non-blocking, because a FIFO of that name must not hold us.
  Descriptor file(open_beneath(name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK, 0));
  if (!file) return std::nullopt;
  struct stat status{};
  if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return std::nullopt;
  struct statvfs storage{};
  if (holes == Holes::refused && ::fstatvfs(root_.get(), &storage) == 0 &&
      static_cast<std::uint64_t>(status.st_size) > storage.f_blocks * storage.f_frsize) {
    return std::nullopt;
  }
  return file;
}

std::optional<std::string> RunFiles::read(std::string_view name, std::size_t limit) const {
  std::optional<Descriptor> file = open(name);
  if (!file) return std::nullopt;
  std::string content = read_at(file->get(), 0, limit + 1, name);
  if (content.size() > limit) return std::nullopt;
  return content;
}

Descriptor RunFiles::create(std::string_view name) const {
  Descriptor parent = parent_of(name);
  if (!parent) refuse("Making", name, ENOENT);
  std::string last(last_part(name));
  ::unlinkat(parent.get(), last.c_str(), 0);
  Descriptor file(
      ::openat(parent.get(), last.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0660));
  if (!file || ::fchmod(file.get(), 0660) != 0) refuse("Making", name, errno);
  return file;
}

void RunFiles::write(std::string_view name, std::string_view content) const {
  Descriptor file = create(name);
  write_fully(file.get(), content, name);
}

void RunFiles::make_directories(std::string_view name) const {
  std::string path;
  for (std::string_view part : split(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (!path.empty()) path += '/';
    path += part;
    Descriptor parent = parent_of(path);
    if (!parent) refuse("Making", path, ENOENT);
    std::string last(part);
    if (::mkdirat(parent.get(), last.c_str(), 0770) != 0) {
      if (errno == EEXIST) continue;
      refuse("Making", path, errno);
    }
    // The mode of mkdir is cut by the umask, and the group of the run comes from the directory's set-group-id
    // bit.
    Descriptor made(::openat(parent.get(), last.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made || ::fchmod(made.get(), 02770) != 0) refuse("Making", path, errno);
  }
}

void RunFiles::move(std::string_view from, std::string_view to) const {
  Descriptor source = parent_of(from), target = parent_of(to);
  if (!source || !target) refuse("Moving", from, ENOENT);
  int result = ::renameat(source.get(), std::string(last_part(from)).c_str(), target.get(),
                          std::string(last_part(to)).c_str());
  if (result != 0) refuse("Moving", from, errno);
}

void RunFiles::remove(std::string_view name) const {
  Descriptor parent = parent_of(name);
  if (!parent) return;
  if (::unlinkat(parent.get(), std::string(last_part(name)).c_str(), 0) != 0 && errno != ENOENT)
    refuse("Removing", name, errno);
}

std::optional<struct stat> RunFiles::look(std::string_view name) const {
  Descriptor parent = parent_of(name);
  struct stat status{};
  if (!parent ||
      ::fstatat(parent.get(), std::string(last_part(name)).c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0)
    return std::nullopt;
  return status;
}

void RunFiles::reserve(std::string_view name, std::uint64_t bytes) const {
  Descriptor file(open_beneath(name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0));
  struct stat status{};
  if (!file || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  if (status.st_blocks * 512 >= status.st_size + static_cast<off_t>(bytes)) return;
  // A result is not wanted: without room there is nothing to be set aside.
  [[maybe_unused]] int result =
      ::fallocate(file.get(), FALLOC_FL_KEEP_SIZE, status.st_size, static_cast<off_t>(bytes));
}

void RunFiles::give_back(std::string_view name, std::uint64_t begin, std::uint64_t size) const {
  Descriptor file(open_beneath(name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK, 0));
  struct stat status{};
  if (!file || size == 0 || ::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) return;
  // A result is not wanted: at worst the memory stays in use.
  [[maybe_unused]] int result = ::fallocate(file.get(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                                            static_cast<off_t>(begin), static_cast<off_t>(size));
}

std::uint64_t RunFiles::room() const {
  struct statvfs storage{};
  if (::fstatvfs(root_.get(), &storage) != 0) return UINT64_MAX;
  return storage.f_favail == 0 ? 0 : storage.f_bavail * storage.f_frsize;
}

void write_fully(int descriptor, std::string_view bytes, std::string_view what) {
  while (!bytes.empty()) {
    ssize_t written = ::write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) refuse("Writing", what, errno);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

std::string read_at(int descriptor, std::uint64_t offset, std::size_t size, std::string_view what) {
  std::string bytes;
  std::size_t filled = 0;
  while (filled < size) {
    bytes.resize(filled + std::min<std::size_t>(size - filled, 256 * 1024));
    ssize_t got = ::pread(descriptor, bytes.data() + filled, bytes.size() - filled,
                          static_cast<off_t>(offset + filled));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) refuse("Reading", what, errno);
    if (got == 0) break;
    filled += static_cast<std::size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

std::optional<std::uint64_t> next_data(int descriptor, std::uint64_t offset) {
  off_t found = ::lseek(descriptor, static_cast<off_t>(offset), SEEK_DATA);
  if (found < 0) return std::nullopt;
  return static_cast<std::uint64_t>(found);
}

}  // namespace terrane::shim
