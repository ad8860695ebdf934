#include "http/client.h"

#include <boost/asio/error.hpp>
#include <boost/system/system_error.hpp>

#include "base/error.h"
#include "http/client_pool.h"
#include "http/percent.h"

namespace terrane::http {
namespace {

using net::Clock;

/// An answer's body; gives the connection back at its end.
class AnswerBody final : public ByteSource {
 public:
  AnswerBody(Lease lease, BodyReader reader, bool keep_alive)
      : lease_(std::move(lease)), reader_(reader), keep_alive_(keep_alive) {
    release_at_end();
  }

  Task<std::size_t> read(std::span<char> into) override {
    if (!lease_ || into.empty()) co_return 0;
    try {
      std::size_t got = co_await reader_.read(lease_->connection(), into, lease_->pool().options.body_idle);
      release_at_end();
      co_return got;
    } catch (const Error& error) {
      throw lease_->pool().failure(error.detail());
    }
  }

 private:
  void release_at_end() {
    if (!reader_.done()) return;
    if (keep_alive_) lease_->keep();
    lease_.reset();
  }

  std::optional<Lease> lease_;
  BodyReader reader_;
  bool keep_alive_;
};

bool is_ours(std::string_view name) {
  return same_name(name, "Content-Length") || same_name(name, "Transfer-Encoding") ||
         same_name(name, "Connection");
}

/// How the request's body goes out.
Framing framing_of(const ClientRequest& request) {
  if (request.stream) return request.stream_length ? Framing::length : Framing::chunked;
  bool expected =
      request.method == Method::post || request.method == Method::put || request.method == Method::patch;
  return !request.body.empty() || expected ? Framing::length : Framing::none;
}

std::string make_head(const ClientRequest& request, const std::string& host) {
  if (request.target.empty() ||
      std::ranges::any_of(request.target, [](char c) { return c <= ' ' || c == 127; })) {
    throw Error(Code::invalid, "The target of a request holds a blank or a control character.");
  }
  std::string head;
  head.append(name(request.method)).append(" ").append(request.target).append(" HTTP/1.1\r\n");
  if (!request.headers.find("Host")) head.append("Host: ").append(host).append("\r\n");
  for (const auto& [key, value] : request.headers.all()) {
    if (!is_ours(key)) head.append(key).append(": ").append(value).append("\r\n");
  }
  Framing framing = framing_of(request);
  if (framing == Framing::length) {
    std::uint64_t length = request.stream ? *request.stream_length : request.body.size();
    head.append("Content-Length: ").append(std::to_string(length)).append("\r\n");
  } else if (framing == Framing::chunked) {
    head.append("Transfer-Encoding: chunked\r\n");
  }
  return head.append("\r\n");
}

std::string describe(const boost::system::system_error& error) {
  auto* tls = dynamic_cast<const TlsBroken*>(&error);
  return "the connection broke: " +
         (tls && !tls->reason.empty() ? "TLS: " + tls->reason : error.code().message()) + ".";
}

/// What became of one attempt.
struct Attempt {
  std::optional<ClientResponse> response;
  bool nothing_came = false;  ///< the connection ended before any byte of an answer
  std::string failure;
};

/// A source's own failure must not look like the connection's.
class GuardedSource final : public ByteSource {
 public:
  explicit GuardedSource(ByteSource& source) : source_(source) {}
  Task<std::size_t> read(std::span<char> into) override {
    try {
      co_return co_await source_.read(into);
    } catch (...) {
      failure = std::current_exception();
      throw;
    }
  }
  std::exception_ptr failure;

 private:
  ByteSource& source_;
};

/// Sends header and body. A connection that breaks meanwhile is no failure yet: the peer may have answered
/// early and closed. Returns whether all has been sent.
Task<bool> write_request(Connection& connection, const ClientRequest& request, const std::string& head,
                         Clock::duration idle) {
  if (!request.stream) {
    try {
      co_await connection.write({head, request.body}, idle);
      co_return true;
    } catch (const boost::system::system_error& error) {
      if (error.code() == boost::asio::error::operation_aborted) throw;
      co_return false;
    }
  }
  GuardedSource source(*request.stream);
  try {
    co_await connection.write_from(head, source, framing_of(request), request.stream_length.value_or(0),
                                   idle);
    co_return true;
  } catch (const boost::system::system_error& error) {
    if (source.failure || error.code() == boost::asio::error::operation_aborted) throw;
    co_return false;
  }
}

/// Reads the final answer's header. Returns the failure's text, empty when it is there.
Task<std::string> read_head(Connection& connection, bool to_head, ResponseHead& head, bool& nothing_came) {
  while (true) {
    std::size_t size = 0;
    std::size_t searched = 0;
    while ((size = head_size(connection.buffered(), searched)) == 0) {
      searched = connection.buffered().size();
      if (connection.full()) co_return "the answer's header is too long.";
      if (co_await connection.fill() == 0) {
        co_return nothing_came ? "the connection was closed without an answer." : "the answer broke off.";
      }
      nothing_came = false;
    }
    head = {};
    if (!parse_response(connection.buffered().substr(0, size), to_head, head))
      co_return "the answer is not HTTP/1.1.";
    connection.consume(size);
    if (head.status == 101) co_return "the answer is an upgrade that nobody asked for.";
    if (head.status >= 200) co_return "";
  }
}

Task<Attempt> attempt(Lease& lease, const ClientRequest& request, const std::string& head) {
  Connection& connection = lease.connection();
  const ClientOptions& options = lease.pool().options;
  Attempt result;
  result.nothing_came = true;
  try {
    bool sent = co_await write_request(connection, request, head, options.body_idle);
    connection.deadline().set(request.header_time.value_or(options.header_time));
    ResponseHead answer;
    result.failure =
        co_await read_head(connection, request.method == Method::head, answer, result.nothing_came);
    if (!result.failure.empty()) co_return result;
    connection.deadline().clear();
    result.response.emplace();
    result.response->status = answer.status;
    result.response->headers = std::move(answer.headers);
    result.response->content_length = answer.length;
    bool keep = answer.keep_alive && sent;
    result.response->body = std::make_shared<AnswerBody>(
        std::move(lease), BodyReader(answer.framing, answer.length.value_or(0)), keep);
  } catch (const boost::system::system_error& error) {
    bool late = connection.deadline().expired();
    if (!late && error.code() == boost::asio::error::operation_aborted) throw;
    if (late) result.nothing_came = false;
    result.failure = late ? "no answer in time." : describe(error);
  }
  co_return result;
}

Task<ClientResponse> send_request(std::shared_ptr<ClientPool> pool, ClientRequest request) {
  std::string head = make_head(request, pool->host_field);
  Lease lease = co_await pool->acquire(request.header_time.value_or(pool->options.header_time));
  bool kept = lease.take_kept();
  if (!kept) co_await lease.connect();
  Attempt result = co_await attempt(lease, request, head);
  if (!result.response && kept && result.nothing_came && !request.stream) {
    pool->drop_kept();
    co_await lease.connect();
    result = co_await attempt(lease, request, head);
  }
  if (!result.response) throw pool->failure(result.failure);
  co_return std::move(*result.response);
}

}  // namespace

struct Client::Impl {
  std::shared_ptr<ClientPool> pool;
};

Client::Client(net::Executor executor, Endpoint endpoint, ClientOptions options)
    : impl_(std::make_shared<Impl>()) {
  impl_->pool = std::make_shared<ClientPool>(std::move(executor), std::move(endpoint), options);
}

Client::~Client() { impl_->pool->shut(); }

Task<ClientResponse> Client::send(ClientRequest request) {
  return send_request(impl_->pool, std::move(request));
}

const Endpoint& Client::endpoint() const { return impl_->pool->endpoint; }

std::string Client::tls_session() const { return impl_->pool->tls_session(); }

Task<std::string> ClientResponse::text(std::size_t limit) {
  auto too_large = [limit] {
    return Error(Code::too_large, "The answer has more than " + std::to_string(limit) + " bytes.");
  };
  if (content_length && *content_length > limit) throw too_large();
  std::string result;
  constexpr std::size_t step = 16 * 1024;
  while (body) {
    std::size_t have = result.size();
    result.resize(have + step);
    std::size_t got = co_await body->read({result.data() + have, step});
    result.resize(have + got);
    if (got == 0) break;
    if (result.size() > limit) throw too_large();
  }
  co_return result;
}

}  // namespace terrane::http
