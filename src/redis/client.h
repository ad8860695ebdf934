#pragma once
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/secret.h"
#include "base/task.h"
#include "net/io.h"

namespace terrane::redis {

/// Where Redis is. A unix socket when its path is given, else TCP.
struct Options {
  std::string unix_path;
  std::string host = "127.0.0.1";
  std::uint16_t port = 6379;
  Secret password;  ///< empty for none
  std::chrono::milliseconds command_time{
      1'000};  ///< a command that has no answer by then throws; connecting counts
};

/// What Redis answers. Error answers become exceptions and never reach the caller on the top level; in an
/// array they may stand as `error`.
struct Reply {
  enum class Kind { nil, integer, text, array, error };
  Kind kind = Kind::nil;
  std::int64_t integer = 0;
  std::string text;
  std::vector<Reply> items;
};

/// A connection to Redis that is made on demand. Redis caches and signals only: it may lose everything or be
/// away at any moment, and then a command throws Error{unavailable} at once or within `command_time`.
/// Commands of several coroutines share the connection, pipelined. One executor, not thread-safe; destroy it
/// before its executor.
class Client {
 public:
  Client(net::Executor executor, Options options);
  ~Client();

  /// Sends one command; its first word is the verb. Throws Error{unavailable}, or Error{internal} when Redis
  /// refuses the command.
  Task<Reply> command(std::vector<std::string> words);

  /// The value, nothing when there is none.
  Task<std::optional<std::string>> get(std::string key);
  /// Sets a value that goes by itself after `life`.
  Task<> set(std::string key, std::string value, std::chrono::milliseconds life);
  /// Removes a key, if it is there.
  Task<> remove(std::string key);
  /// Counts one up in a window that begins with the first count and ends after `window`; returns the count.
  /// For rate limits.
  Task<std::int64_t> count(std::string key, std::chrono::milliseconds window);
  /// Publishes to a channel; returns how many received it.
  Task<std::int64_t> publish(std::string channel, std::string payload);

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace terrane::redis
