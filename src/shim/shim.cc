#include "shim/shim.h"

#include <csignal>
#include <cstdlib>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "base/error.h"
#include "base/log.h"
#include "shim/phase.h"
#include "shim/run_files.h"

namespace terrane::shim {
namespace {

constexpr std::size_t order_limit = 256 * 1024 * 1024;

ShimOrder read_order(int descriptor) {
  if (descriptor < 0) throw Error(Code::invalid, "The worker gave no order.");
  std::string text = read_at(descriptor, 0, order_limit, "the order");
  ::close(descriptor);
  json::value document = parse_json(text);
  wipe(text);
  if (!document.is_object()) throw Error(Code::invalid, "The order is no JSON object.");
  return order_from_json(document.get_object());
}

[[noreturn]] void run() {
  sandbox::ShimInheritance inheritance = sandbox::inherited_from_environment();
  ShimOrder order = read_order(inheritance.job);
  boost::asio::io_context loop(1);
  Context context(loop.get_executor(), std::move(order), std::move(inheritance));
  int status = 1;
  auto phase = [](Context& of, int& result) -> Task<> { result = static_cast<int>(co_await run_phase(of)); };
  net::spawn(loop.get_executor(), phase(context, status), [&](std::exception_ptr failure) {
    try {
      if (failure) std::rethrow_exception(failure);
    } catch (...) {
      log::error("a shim failed and leaves its phase to the worker", {{"error", current_exception_text()}});
    }
    loop.stop();
  });
  loop.run();
  // Without destructors: beats or uploads may be under way, and nothing is left to be kept.
  std::_Exit(status);
}

}  // namespace

int shim_main() {
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGPIPE}) std::signal(number, SIG_IGN);
  try {
    run();
  } catch (...) {
    log::error("a shim could not start", {{"error", current_exception_text()}});
  }
  return 1;
}

}  // namespace terrane::shim
