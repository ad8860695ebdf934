#pragma once
#include <chrono>
#include <cstdint>
#include <string>

#include "base/secret.h"

namespace terrane::amqp {

/// Where RabbitMQ is.
struct Options {
  std::string host = "127.0.0.1";
  std::uint16_t port = 5672;
  std::string user;
  Secret password;
  std::string vhost = "/";
  /// Queues whose names begin so belong to one process, which may never come again: nobody misses one that
  /// was not used for `passing_life`. Empty: every queue stays.
  std::string passing_prefix;
  std::chrono::milliseconds passing_life = std::chrono::hours(1);
};

}  // namespace terrane::amqp
