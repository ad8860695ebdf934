#include "testing/run.h"

#include <stdexcept>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>

namespace terrane::testing {

void run_task(std::function<Task<>(net::Executor)> body, std::chrono::seconds limit) {
  boost::asio::io_context context(1);
  std::exception_ptr failure;
  bool done = false;
  net::spawn(context.get_executor(), body(context.get_executor()), [&](std::exception_ptr ended) {
    failure = ended;
    done = true;
    context.stop();
  });
  context.run_for(limit);
  if (!done) throw std::runtime_error("the test's coroutine did not end in time");
  if (failure) std::rethrow_exception(failure);
}

Task<> eventually(std::string what, std::function<bool()> condition, std::chrono::seconds limit) {
  net::Clock::time_point end = net::Clock::now() + limit;
  while (!condition()) {
    if (net::Clock::now() > end) throw std::runtime_error("did not happen in time: " + what);
    co_await net::sleep_for(std::chrono::milliseconds(10));
  }
}

}  // namespace terrane::testing
