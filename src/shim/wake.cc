#include "shim/wake.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "sandbox/descriptor.h"
#include "sandbox/readable.h"

namespace terrane::shim {
namespace {

Task<> listen(std::shared_ptr<sandbox::Descriptor> pipe, std::function<void()> on_wake) {
  while (true) {
    co_await sandbox::wait_readable(pipe->get());
    char bytes[512];
    // How often it was woken does not matter.
    while (::read(pipe->get(), bytes, sizeof bytes) > 0) continue;
    on_wake();
  }
}

}  // namespace

void listen_for_wakes(net::Executor executor, const Spool& spool, std::function<void()> on_wake) {
  const std::filesystem::path path = spool.wake_file();
  const bool made = ::mkfifo(path.c_str(), 0600) == 0 || errno == EEXIST;
  // Opened for both, so that it has no end when a writer goes.
  auto pipe = std::make_shared<sandbox::Descriptor>(
      made ? ::open(path.c_str(), O_RDWR | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW) : -1);
  if (!*pipe) {
    log::warn("a phase cannot be woken and hears of wishes by its beats",
              {{"job", spool.meta().job}, {"error", std::strerror(errno)}});
    return;
  }
  net::spawn(executor, "wakes", listen(std::move(pipe), std::move(on_wake)));
}

void wake_shim(const Spool& spool) noexcept {
  // Without a reader this fails, and so it does on a full pipe, whose reader has enough to read.
  sandbox::Descriptor pipe(::open(spool.wake_file().c_str(), O_WRONLY | O_NONBLOCK | O_CLOEXEC | O_NOFOLLOW));
  if (pipe) [[maybe_unused]]
    ssize_t written = ::write(pipe.get(), "w", 1);
}

}  // namespace terrane::shim
