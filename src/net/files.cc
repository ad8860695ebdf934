#include "net/files.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace terrane::net {
namespace {

/// A descriptor that is closed when it goes out of scope.
struct Descriptor {
  int fd;
  ~Descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

[[noreturn]] void fail(Code code, const char* step, const std::filesystem::path& path) {
  throw Error(code, std::string(step) + " " + path.string() + ": " + std::strerror(errno));
}

}  // namespace

std::string read_file(const std::filesystem::path& path, std::size_t limit) {
  Descriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) fail(Code::invalid, "cannot open", path);
  std::string content;
  char buffer[64 * 1024];
  while (true) {
    ssize_t count = ::read(file.fd, buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(Code::invalid, "cannot read", path);
    if (count == 0) return content;
    content.append(buffer, static_cast<std::size_t>(count));
    if (content.size() > limit)
      throw Error(Code::too_large, path.string() + " has more than " + std::to_string(limit) + " bytes.");
  }
}

void write_file(const std::filesystem::path& path, std::string_view content, FileOwner owner) {
  std::filesystem::path temporary = path;
  temporary += ".new";
  ::unlink(temporary.c_str());
  Descriptor file{::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)};
  if (file.fd < 0) fail(Code::internal, "cannot create", temporary);
  while (!content.empty()) {
    ssize_t count = ::write(file.fd, content.data(), content.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(Code::internal, "cannot write", temporary);
    content.remove_prefix(static_cast<std::size_t>(count));
  }
  if (::fchown(file.fd, owner.uid, owner.gid) != 0) fail(Code::internal, "cannot give away", temporary);
  if (::fchmod(file.fd, owner.mode) != 0) fail(Code::internal, "cannot set the mode of", temporary);
  if (::fsync(file.fd) != 0) fail(Code::internal, "cannot sync", temporary);
  if (::rename(temporary.c_str(), path.c_str()) != 0) fail(Code::internal, "cannot rename to", path);
  Descriptor directory{::open(path.parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.fd < 0 || ::fsync(directory.fd) != 0) fail(Code::internal, "cannot sync", path.parent_path());
}

void make_directory(const std::filesystem::path& path, FileOwner owner) {
  std::error_code failure;
  std::filesystem::create_directories(path.parent_path(), failure);
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) fail(Code::internal, "cannot make", path);
  if (::chown(path.c_str(), owner.uid, owner.gid) != 0) fail(Code::internal, "cannot give away", path);
  if (::chmod(path.c_str(), owner.mode) != 0) fail(Code::internal, "cannot set the mode of", path);
}

}  // namespace terrane::net
