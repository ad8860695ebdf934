#include <csignal>
#include <fcntl.h>
#include <unistd.h>

#include <boost/asio/buffer.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

#include "base/error.h"
#include "net/process.h"

namespace terrane::net {
namespace {

namespace asio = boost::asio;
using asio::posix::stream_descriptor;

constexpr std::size_t captured_limit = 4 * 1024 * 1024;
constexpr auto grace = std::chrono::seconds(1);

/// A pipe of which one end goes to the child; both close with the object.
struct Pipe {
  Pipe() {
    if (::pipe2(ends, O_CLOEXEC) != 0) throw Error(Code::internal, "No file descriptor is left.");
  }
  Pipe(const Pipe&) = delete;
  Pipe& operator=(const Pipe&) = delete;
  ~Pipe() {
    for (int& end : ends) close(end);
  }
  static void close(int& end) {
    if (end >= 0) ::close(std::exchange(end, -1));
  }
  int ends[2] = {-1, -1};  // to read from, to write to
};

/// What a captured process and the coroutines that serve its pipes share.
struct Capture {
  Capture(Executor executor, Process started, std::string bytes)
      : process(std::move(started)),
        input(std::move(bytes)),
        feed(executor),
        output(executor),
        errors(executor),
        changed(executor) {}
  Process process;
  std::string input;
  stream_descriptor feed;
  stream_descriptor output;
  stream_descriptor errors;
  Event changed;
  int open_pipes = 0;
  Captured result;
};

Task<> write_input(std::shared_ptr<Capture> capture) {
  boost::system::error_code failure;  // a program need not read its input
  co_await asio::async_write(capture->feed, asio::buffer(capture->input),
                             asio::redirect_error(asio::use_awaitable, failure));
  capture->feed.close(failure);
}

Task<> collect(std::shared_ptr<Capture> capture, stream_descriptor& from, std::string& into) {
  std::array<char, 16 * 1024> piece;
  boost::system::error_code failure;
  while (true) {
    std::size_t got = co_await from.async_read_some(asio::buffer(piece),
                                                    asio::redirect_error(asio::use_awaitable, failure));
    if (failure) break;
    into.append(piece.data(), std::min(got, captured_limit - into.size()));
  }
  --capture->open_pipes;
  capture->changed.notify();
}

Task<> wait_for_end(std::shared_ptr<Capture> capture) {
  capture->result.status = co_await capture->process.wait();
  // The pipes end with the program, unless a child of its keeps them; that one is not waited for.
  auto last = Clock::now() + grace;
  while (capture->open_pipes > 0 && Clock::now() < last)
    co_await capture->changed.wait_for(last - Clock::now());
}

/// Reaps a process that was killed; nobody waits for it any more.
Task<> reap(std::shared_ptr<Capture> capture) { co_await capture->process.wait(); }

}  // namespace

Task<Captured> run_captured(ProcessOptions options, std::string input, Clock::duration limit) {
  Executor executor = co_await asio::this_coro::executor;
  // A program that ends without reading its input must not end us.
  [[maybe_unused]] static const auto ignored = std::signal(SIGPIPE, SIG_IGN);
  Pipe to_input;
  Pipe from_output;
  Pipe from_errors;
  options.own_session = true;
  options.files.insert(options.files.end(),
                       {{to_input.ends[0], 0}, {from_output.ends[1], 1}, {from_errors.ends[1], 2}});
  std::string program = options.argv.empty() ? "" : options.argv.front();
  auto capture = std::make_shared<Capture>(executor, Process::start(options), std::move(input));
  Pipe::close(to_input.ends[0]);
  Pipe::close(from_output.ends[1]);
  Pipe::close(from_errors.ends[1]);
  capture->feed.assign(std::exchange(to_input.ends[1], -1));
  capture->output.assign(std::exchange(from_output.ends[0], -1));
  capture->errors.assign(std::exchange(from_errors.ends[0], -1));
  capture->open_pipes = 2;
  spawn(executor, "input of " + program, write_input(capture));
  spawn(executor, "output of " + program, collect(capture, capture->output, capture->result.output));
  spawn(executor, "errors of " + program, collect(capture, capture->errors, capture->result.errors));

  std::exception_ptr failure;
  try {
    co_await with_deadline(limit, program, wait_for_end(capture));
  } catch (...) {
    failure = std::current_exception();
  }
  boost::system::error_code ignored_error;
  capture->feed.close(ignored_error);
  capture->output.close(ignored_error);
  capture->errors.close(ignored_error);
  if (failure) {
    capture->process.signal_group(SIGKILL);
    spawn(executor, "end of " + program, reap(capture));
    std::rethrow_exception(failure);
  }
  co_return std::move(capture->result);
}

}  // namespace terrane::net
