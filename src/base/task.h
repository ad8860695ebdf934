#pragma once
#include <boost/asio/awaitable.hpp>

namespace terrane {

/// A coroutine of the calling role's executor. A role runs all its coroutines on one thread, so plain data
/// that is touched between two suspensions needs no lock; what blocks goes through `net::blocking`.
template <class T = void>
using Task = boost::asio::awaitable<T>;

}  // namespace terrane
