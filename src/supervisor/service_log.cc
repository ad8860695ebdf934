#include "supervisor/service_log.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

namespace terrane::supervisor {
namespace {

constexpr off_t rotate_above = 64 * 1024 * 1024;
constexpr off_t shown_bytes = 4096;
constexpr int shown_lines = 20;

}  // namespace

int open_service_log(const std::filesystem::path& directory, const std::string& name) {
  std::filesystem::path path = directory / (name + ".log");
  struct stat existing = {};
  if (::stat(path.c_str(), &existing) == 0 && existing.st_size > rotate_above) {
    ::rename(path.c_str(), (directory / (name + ".log.1")).c_str());
  }
  int fd = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
  if (fd < 0)
    throw Error(Code::unavailable, "Cannot open " + path.string() + ": " + std::strerror(errno) + ".");
  return fd;
}

std::string last_log_lines(const std::filesystem::path& directory, const std::string& name) {
  int fd = ::open((directory / (name + ".log")).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0) return {};
  off_t size = ::lseek(fd, 0, SEEK_END);
  std::array<char, shown_bytes> bytes;
  ssize_t got = ::pread(fd, bytes.data(), bytes.size(), size > shown_bytes ? size - shown_bytes : 0);
  ::close(fd);
  std::string text(bytes.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  while (text.ends_with('\n')) text.pop_back();
  std::size_t begin = text.size();
  for (int lines = 0; lines < shown_lines && begin != std::string::npos && begin > 0; ++lines)
    begin = text.rfind('\n', begin - 1);
  return begin == std::string::npos || begin == 0 ? text : text.substr(begin + 1);
}

}  // namespace terrane::supervisor
