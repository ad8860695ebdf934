#pragma once
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
};

}  // namespace terrane::amqp
