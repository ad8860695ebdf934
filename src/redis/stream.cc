#include "redis/stream.h"

#include <hiredis/hiredis.h>
#include <hiredis/read.h>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace terrane::redis {

namespace asio = boost::asio;

namespace {

constexpr std::size_t largest_answer = 64 << 20;
constexpr std::size_t read_size = 16 << 10;

Reply convert(const redisReply& from) {
  Reply to;
  switch (from.type) {
    case REDIS_REPLY_INTEGER:
      to.kind = Reply::Kind::integer;
      to.integer = from.integer;
      break;
    case REDIS_REPLY_STRING:
    case REDIS_REPLY_STATUS:
      to.kind = Reply::Kind::text;
      to.text.assign(from.str, from.len);
      break;
    case REDIS_REPLY_ERROR:
      to.kind = Reply::Kind::error;
      to.text.assign(from.str, from.len);
      break;
    case REDIS_REPLY_ARRAY:
      to.kind = Reply::Kind::array;
      for (std::size_t i = 0; i < from.elements; ++i) to.items.push_back(convert(*from.element[i]));
      break;
    default: break;
  }
  return to;
}

}  // namespace

std::string encode(const std::vector<std::string>& words) {
  std::string out = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words) {
    out += "$" + std::to_string(word.size()) + "\r\n";
    out += word;
    out += "\r\n";
  }
  return out;
}

Error refusal(const std::string& text) {
  for (std::string_view passing :
       {"LOADING", "OOM", "READONLY", "MASTERDOWN", "BUSY", "MISCONF", "NOREPLICAS", "UNKILLABLE"}) {
    if (text.starts_with(passing))
      return Error(Code::unavailable, "Redis is not available.").add_context(text);
  }
  return Error(Code::internal, "Redis refused a command.").add_context(text);
}

Stream::Stream(net::Executor executor)
    : socket_(std::move(executor)), reader_(redisReaderCreate(), redisReaderFree), buffer_(read_size) {
  if (!reader_) throw std::bad_alloc();
}

Stream::~Stream() = default;

Task<std::shared_ptr<Stream>> Stream::open(const Options& options) {
  net::Executor executor = co_await asio::this_coro::executor;
  std::shared_ptr<Stream> stream(new Stream(executor));
  co_await stream->connect(options);
  if (!options.password.empty()) co_await stream->log_in(options);
  co_return stream;
}

Task<> Stream::connect(const Options& options) {
  if (!options.unix_path.empty()) {
    asio::local::stream_protocol::endpoint place(options.unix_path);
    co_await socket_.async_connect(place, asio::use_awaitable);
    co_return;
  }
  asio::ip::tcp::resolver resolver(socket_.get_executor());
  asio::ip::tcp::socket tcp(socket_.get_executor());
  auto places =
      co_await resolver.async_resolve(options.host, std::to_string(options.port), asio::use_awaitable);
  co_await asio::async_connect(tcp, places, asio::use_awaitable);
  tcp.set_option(asio::ip::tcp::no_delay(true));
  tcp.set_option(asio::socket_base::keep_alive(true));
  socket_ = std::move(tcp);
}

Task<> Stream::log_in(const Options& options) {
  co_await write(encode({"AUTH", options.password.reveal()}));
  Reply reply = co_await read();
  if (reply.kind == Reply::Kind::error) throw refusal(reply.text);
}

Task<> Stream::write(std::string bytes) {
  co_await asio::async_write(socket_, asio::buffer(bytes), asio::use_awaitable);
}

Task<Reply> Stream::read() {
  for (;;) {
    void* raw = nullptr;
    if (redisReaderGetReply(reader_.get(), &raw) != REDIS_OK)
      throw Error(Code::unavailable, "Redis sent what is no answer.");
    if (raw) {
      std::unique_ptr<void, void (*)(void*)> reply(raw, freeReplyObject);
      unparsed_ = 0;
      co_return convert(*static_cast<const redisReply*>(reply.get()));
    }
    if (unparsed_ > largest_answer) throw Error(Code::unavailable, "Redis sent too large an answer.");
    std::size_t count = co_await socket_.async_read_some(asio::buffer(buffer_), asio::use_awaitable);
    unparsed_ += count;
    if (redisReaderFeed(reader_.get(), buffer_.data(), count) != REDIS_OK) throw std::bad_alloc();
  }
}

void Stream::close() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

}  // namespace terrane::redis
