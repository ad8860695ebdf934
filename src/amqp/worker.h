#pragma once
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

namespace terrane::amqp {

/// A thread that blocks on one socket, and the means to wake it, to stop it and to cut a call of librabbitmq
/// short.
class Worker {
 public:
  Worker();
  /// Stops.
  ~Worker();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;

  void start(std::function<void()> body);
  /// Asks the body to end, cuts its socket when it has not ended after 0.6 s, and joins it.
  void stop();
  bool stopping() const noexcept { return stopping_; }

  /// Makes the next or current `wait` return. From any thread.
  void wake() noexcept;
  /// In the thread: waits for `wake`, for input at `socket` (-1 for none), at most `limit`.
  void wait(int socket, std::chrono::milliseconds limit) noexcept;
  /// In the thread: waits until `socket` is connected or has failed. Returns whether it is ready.
  bool wait_connected(int socket, std::chrono::milliseconds limit) noexcept;
  /// In the thread: the socket that `stop` may cut, -1 for none.
  void attach(int socket);

 private:
  int event_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable ended_changed_;
  bool ended_ = false;
  int socket_ = -1;
};

}  // namespace terrane::amqp
