#include "supervisor/lock.h"

#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <string>
#include <sys/file.h>
#include <unistd.h>

#include "base/error.h"

namespace terrane::supervisor {
namespace {

int open_file(const std::filesystem::path& path) {
  int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    throw Error(Code::unavailable, "Cannot open " + path.string() + ": " + std::strerror(errno) + ".");
  return fd;
}

bool try_lock(int fd) {
  int result;
  do {
    result = ::flock(fd, LOCK_EX | LOCK_NB);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

/// The pid that the holder wrote.
std::string holder(int fd) {
  std::array<char, 32> text;
  ssize_t got = ::pread(fd, text.data(), text.size(), 0);
  std::string pid(text.data(), got > 0 ? static_cast<std::size_t>(got) : 0);
  return pid.substr(0, pid.find('\n'));
}

}  // namespace

Task<DirectoryLock> DirectoryLock::take(std::filesystem::path directory, net::Clock::duration limit) {
  DirectoryLock lock;
  lock.own_ = open_file(directory / "serve.lock");
  if (!try_lock(lock.own_)) {
    throw Error(Code::conflict,
                "Process " + holder(lock.own_) + " already serves " + directory.string() + ".");
  }
  std::string pid = std::to_string(::getpid()) + "\n";
  if (::ftruncate(lock.own_, 0) != 0 ||
      ::pwrite(lock.own_, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    throw Error(Code::unavailable,
                "Cannot write " + (directory / "serve.lock").string() + ": " + std::strerror(errno) + ".");
  }
  lock.children_ = open_file(directory / "serve.children");
  auto until = net::Clock::now() + limit;
  while (!try_lock(lock.children_)) {
    if (net::Clock::now() >= until) {
      throw Error(Code::conflict,
                  "Services of an earlier process are still ending in " + directory.string() + ".");
    }
    co_await net::sleep_for(std::chrono::milliseconds(20));
  }
  co_return lock;
}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
  std::swap(own_, other.own_);
  std::swap(children_, other.children_);
  return *this;
}

DirectoryLock::~DirectoryLock() {
  for (int fd : {children_, own_}) {
    if (fd >= 0) ::close(fd);
  }
}

}  // namespace terrane::supervisor
