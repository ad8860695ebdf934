#include "sandbox/output_pump.h"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace terrane::sandbox {

namespace asio = boost::asio;

struct OutputPump::State {
  State(net::Executor executor, Descriptor file, Stream which, Callback call)
      : pipe(executor), stream(which), callback(std::move(call)), ended(executor) {
    pipe.assign(file.release());
    pipe.non_blocking(true);
  }

  asio::posix::stream_descriptor pipe;
  Stream stream;
  Callback callback;
  net::Event ended;
  bool done = false;
  bool waiting = false;  // for more to read
  bool closing = false;  // the command has ended long ago
  std::size_t left_to_take =
      1 << 20;  // once it is closing, so that a flood by something left behind ends too
  std::exception_ptr failure;

  static Task<> run(std::shared_ptr<State> state);
};

Task<> OutputPump::State::run(std::shared_ptr<State> state) {
  std::vector<char> buffer(64 << 10);
  for (;;) {
    boost::system::error_code failure;
    std::size_t size = state->pipe.read_some(asio::buffer(buffer), failure);
    if (failure == asio::error::would_block) {
      if (state->closing) break;
      state->waiting = true;
      co_await state->pipe.async_wait(asio::posix::stream_descriptor::wait_read,
                                      asio::redirect_error(asio::use_awaitable, failure));
      state->waiting = false;
      continue;
    }
    if (failure) break;
    if (state->closing) {
      if (size >= state->left_to_take) break;
      state->left_to_take -= size;
    }
    try {
      if (state->callback) co_await state->callback(state->stream, std::string_view(buffer.data(), size));
    } catch (...) {
      // The command must not stand still because nobody reads: go on, to nowhere.
      state->failure = std::current_exception();
      state->callback = nullptr;
    }
  }
}

std::shared_ptr<OutputPump> OutputPump::start(net::Executor executor, Descriptor pipe, Stream stream,
                                              Callback callback) {
  auto state = std::make_shared<State>(executor, std::move(pipe), stream, std::move(callback));
  net::spawn(executor, State::run(state), [state](std::exception_ptr failure) {
    if (failure) state->failure = failure;
    state->done = true;
    boost::system::error_code ignored;
    state->pipe.close(ignored);
    state->ended.notify();
  });
  return std::shared_ptr<OutputPump>(new OutputPump(state));
}

Task<> OutputPump::finish(net::Clock::duration limit) {
  std::shared_ptr<State> state = state_;
  net::Clock::time_point deadline = net::Clock::now() + limit;
  while (!state->done) {
    net::Clock::time_point now = net::Clock::now();
    if (now >= deadline && state->waiting) {
      state->closing = true;
      state->pipe.cancel();
    }
    // A callback that is suspended may take as long as it likes.
    co_await state->ended.wait_for(now >= deadline ? net::Clock::duration(std::chrono::milliseconds(100))
                                                   : deadline - now);
  }
  if (state->failure) std::rethrow_exception(state->failure);
}

}  // namespace terrane::sandbox
