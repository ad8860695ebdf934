#include "sandbox/readable.h"

#include <fcntl.h>

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "sandbox/descriptor.h"

namespace terrane::sandbox {

namespace asio = boost::asio;

Task<> wait_readable(int descriptor) {
  // A duplicate, so that two coroutines may wait for one descriptor: epoll knows each number once.
  Descriptor copy = checked(fcntl(descriptor, F_DUPFD_CLOEXEC, 3), "dup");
  asio::posix::stream_descriptor watched(co_await asio::this_coro::executor);
  watched.assign(copy.release());
  co_await watched.async_wait(asio::posix::stream_descriptor::wait_read, asio::use_awaitable);
}

}  // namespace terrane::sandbox
