#pragma once
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/generic/stream_protocol.hpp>

#include "base/error.h"
#include "redis/client.h"

struct redisReader;

namespace terrane::redis {

/// A command in Redis's wire form.
std::string encode(const std::vector<std::string>& words);

/// The Error for an error answer: `unavailable` for what passes by itself (loading, no memory, read-only
/// replica), else `internal`.
Error refusal(const std::string& text);

/// One connection to Redis, logged in. Reads and writes may be under way at once, each by one coroutine.
class Stream {
 public:
  /// Connects and logs in. Throws Error or boost::system::system_error; takes as long as the network takes,
  /// the caller limits it.
  static Task<std::shared_ptr<Stream>> open(const Options& options);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Task<> write(std::string bytes);
  /// The next answer or push message. Throws when the connection breaks, or an answer is larger than 64 MiB.
  Task<Reply> read();
  /// Wakes reader and writer with an error.
  void close();

 private:
  explicit Stream(net::Executor executor);
  Task<> connect(const Options& options);
  Task<> log_in(const Options& options);

  boost::asio::generic::stream_protocol::socket socket_;
  std::unique_ptr<redisReader, void (*)(redisReader*)> reader_;
  std::vector<char> buffer_;
  std::size_t unparsed_ = 0;  // bytes since the last whole answer
};

}  // namespace terrane::redis
