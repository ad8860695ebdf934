#include "amqp/worker.h"

#include <cerrno>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace terrane::amqp {
namespace {

constexpr std::chrono::milliseconds stop_grace{600};

}  // namespace

Worker::Worker() : event_(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (event_ < 0) throw std::system_error(errno, std::generic_category(), "eventfd");
}

Worker::~Worker() {
  stop();
  close(event_);
}

void Worker::start(std::function<void()> body) {
  thread_ = std::thread([this, body = std::move(body)] {
    body();
    std::lock_guard lock(mutex_);
    ended_ = true;
    ended_changed_.notify_all();
  });
}

void Worker::stop() {
  stopping_ = true;
  wake();
  if (!thread_.joinable()) return;
  {
    std::unique_lock lock(mutex_);
    bool ended = ended_changed_.wait_for(lock, stop_grace, [this] { return ended_; });
    if (!ended && socket_ >= 0) shutdown(socket_, SHUT_RDWR);
  }
  thread_.join();
}

void Worker::wake() noexcept {
  std::uint64_t one = 1;
  [[maybe_unused]] ssize_t written = write(event_, &one, sizeof one);  // a full counter is a wake-up too
}

void Worker::wait(int socket, std::chrono::milliseconds limit) noexcept {
  pollfd watched[] = {{event_, POLLIN, 0}, {socket, POLLIN, 0}};
  poll(watched, 2, static_cast<int>(limit.count()));
  std::uint64_t count = 0;
  [[maybe_unused]] ssize_t taken = read(event_, &count, sizeof count);
}

bool Worker::wait_connected(int socket, std::chrono::milliseconds limit) noexcept {
  auto end = std::chrono::steady_clock::now() + limit;
  while (!stopping_) {
    auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    if (rest.count() <= 0) return false;
    pollfd watched[] = {{event_, POLLIN, 0}, {socket, POLLOUT, 0}};
    poll(watched, 2, static_cast<int>(rest.count()));
    if (watched[1].revents) return true;
    std::uint64_t count = 0;
    [[maybe_unused]] ssize_t taken = read(event_, &count, sizeof count);
  }
  return false;
}

void Worker::attach(int socket) {
  std::lock_guard lock(mutex_);
  socket_ = socket;
}

}  // namespace terrane::amqp
