#include "http/session.h"

#include <charconv>
#include <ctime>

#include <boost/asio/this_coro.hpp>
#include <boost/system/system_error.hpp>

#include "base/error.h"
#include "base/id.h"
#include "base/log.h"
#include "http/percent.h"

namespace terrane::http {
namespace {

constexpr std::size_t drop_limit = 1024 * 1024;
constexpr auto linger_time = std::chrono::seconds(2);

bool has_body(int status) { return status >= 200 && status != 204 && status != 304; }

/// Fields that the server writes itself.
bool is_ours(std::string_view name) {
  for (std::string_view ours : {"Content-Length", "Transfer-Encoding", "Connection", "Date", "Keep-Alive"}) {
    if (same_name(name, ours)) return true;
  }
  return false;
}

void append_number(std::string& to, std::uint64_t number) {
  std::array<char, 20> digits;
  to.append(digits.data(), std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr);
}

}  // namespace

ServerCore::ServerCore(net::Executor executor_, Handler handler_, Server::ErrorHandler on_error_,
                       ServerOptions options_)
    : executor(executor_),
      handler(std::move(handler_)),
      on_error(std::move(on_error_)),
      options(options_),
      deadlines(std::make_shared<Deadlines>(executor)),
      session_ended(executor),
      id_prefix_("req-" + random_id_suffix().substr(0, 10)) {}

std::string ServerCore::next_id() {
  std::string id = id_prefix_;
  append_number(id, ++ids_);
  return id;
}

const std::string& ServerCore::date() {
  std::time_t now = std::time(nullptr);
  if (now != date_of_) {
    std::tm parts;
    std::array<char, 64> text;
    ::gmtime_r(&now, &parts);
    date_.assign(text.data(), std::strftime(text.data(), text.size(), "%a, %d %b %Y %H:%M:%S GMT", &parts));
    date_of_ = now;
  }
  return date_;
}

/// A request's body as its handler sees it.
class Session::RequestBody final : public ByteSource {
 public:
  RequestBody(Session& session, const RequestHead& head)
      : session_(session),
        reader_(head.framing, head.length.value_or(0)),
        owes_continue_(head.expects_continue) {}

  Task<std::size_t> read(std::span<char> into) override {
    net::Clock::duration idle = session_.core_->options.body_idle;
    if (std::exchange(owes_continue_, false) && session_.connection_.buffered().empty()) {
      co_await session_.connection_.write({"HTTP/1.1 100 Continue\r\n\r\n"}, idle);
    }
    co_return co_await reader_.read(session_.connection_, into, idle);
  }

  /// Reads on without a time limit of its own.
  Task<std::size_t> drop(std::span<char> into) {
    return reader_.read(session_.connection_, into, std::nullopt);
  }
  bool done() const noexcept { return reader_.done(); }
  /// Whether the connection can serve another request once the rest has been dropped.
  bool can_be_dropped() const noexcept {
    return !reader_.failed() && reader_.left() <= drop_limit && (reader_.done() || !owes_continue_);
  }

 private:
  Session& session_;
  BodyReader reader_;
  bool owes_continue_;
};

Session::Session(std::shared_ptr<ServerCore> core, std::unique_ptr<Stream> stream, std::string peer)
    : core_(std::move(core)),
      connection_(core_->deadlines, std::move(stream), core_->options.header_bytes),
      peer_(std::move(peer)) {
  core_->sessions.insert(this);
}

Session::~Session() {
  core_->sessions.erase(this);
  core_->session_ended.notify();
}

void Session::close_if_idle() {
  if (!in_request_) connection_.stream().close();
}

void Session::cut() {
  connection_.stream().close();
  cancellation_.emit(boost::asio::cancellation_type::terminal);
}

Task<> Session::run(std::shared_ptr<Session> self) {
  try {
    co_await self->serve();
  } catch (const boost::system::system_error&) {
    // The peer went away, or was too slow.
  } catch (const std::exception& error) {
    log::debug("connection ended", {{"peer", self->peer_}, {"error", error.what()}});
  }
  self->connection_.stream().close();
}

Task<> Session::serve() {
  connection_.deadline().set(core_->options.header_time);
  co_await connection_.stream().handshake();
  client_name_ = connection_.stream().peer_name();
  while (co_await serve_one()) {
  }
  connection_.stream().finish();
  if (unread_ || !connection_.buffered().empty()) co_await linger();
}

/// Collects a header in the buffer. False when the connection is to end: nothing came, or it was refused.
Task<bool> Session::read_head(std::size_t& size) {
  std::size_t searched = 0;
  connection_.deadline().set(core_->options.idle);
  while (true) {
    // Line ends before a request line are allowed; what a request line cannot begin with need not be waited
    // for.
    while (!in_request_ &&
           (connection_.buffered().starts_with('\r') || connection_.buffered().starts_with('\n')))
      connection_.consume(1);
    std::string_view have = connection_.buffered();
    if (!have.empty()) {
      if (!in_request_) {
        if (have.front() < 'A' || have.front() > 'Z') {
          co_await refuse(400, "The request is not HTTP/1.1.");
          co_return false;
        }
        in_request_ = true;
        connection_.deadline().set(core_->options.header_time);
      }
      size = head_size(have, searched);
      if (size > 0) co_return true;
      searched = have.size();
    }
    if (connection_.full()) {
      co_await refuse(
          431, "The header may have at most " + std::to_string(core_->options.header_bytes) + " bytes.");
      co_return false;
    }
    if (co_await connection_.fill() == 0) co_return false;
  }
}

/// False when the connection is to end.
Task<bool> Session::serve_one() {
  in_request_ = false;
  if (core_->stopping && connection_.buffered().empty()) co_return false;
  std::size_t size = 0;
  if (!co_await read_head(size)) co_return false;
  RequestHead head;
  std::optional<Refusal> refusal = parse_request(connection_.buffered().substr(0, size), head);
  connection_.consume(size);
  if (refusal) {
    co_await refuse(refusal->status, refusal->reason);
    co_return false;
  }
  connection_.deadline().clear();
  co_return co_await answer_request(std::move(head));
}

Task<bool> Session::answer_request(RequestHead head) {
  RequestBody body(*this, head);
  Request request;
  request.method = head.method;
  request.target = std::move(head.target);
  request.path = request.target.substr(0, request.target.find('?'));
  request.headers = std::move(head.headers);
  if (head.framing != Framing::chunked) request.content_length = head.length.value_or(0);
  request.body = &body;
  request.peer = peer_;
  request.client_name = client_name_;
  request.id = core_->next_id();
  keep_alive_ = head.keep_alive;

  Response response = co_await ask_handler(request);
  keep_alive_ = keep_alive_ && !core_->stopping && body.can_be_dropped();
  co_await write_response(response, request, head.old);
  if (response.after_sent) response.after_sent();
  unread_ = !body.done();
  if (!keep_alive_) co_return false;
  co_return co_await drop_rest(body);
}

Task<Response> Session::ask_handler(Request& request) {
  std::exception_ptr failure;
  try {
    if (request.path.size() < request.target.size())
      request.query = Query(std::string_view(request.target).substr(request.path.size() + 1));
    co_return co_await core_->handler(request);
  } catch (...) {
    failure = std::current_exception();
  }
  try {
    co_return core_->on_error(request, failure);
  } catch (...) {
    log::error("the error handler failed", {{"request", request.id}, {"error", current_exception_text()}});
  }
  Response response;
  response.status = 500;
  co_return response;
}

void Session::make_head(const Response& response, bool to_head, Framing framing, std::uint64_t length,
                        bool old) {
  head_.clear();
  head_ += "HTTP/1.1 ";
  append_number(head_, static_cast<std::uint64_t>(response.status));
  head_ += ' ';
  head_ += reason_phrase(response.status);
  head_ += "\r\nDate: ";
  head_ += core_->date();
  for (const auto& [name, value] : response.headers.all()) {
    if (is_ours(name)) continue;
    head_ += "\r\n";
    head_ += name;
    head_ += ": ";
    head_ += value;
  }
  if (framing == Framing::length && has_body(response.status)) {
    head_ += "\r\nContent-Length: ";
    append_number(head_, length);
  } else if (framing == Framing::chunked) {
    head_ += "\r\nTransfer-Encoding: chunked";
  }
  if (!keep_alive_) {
    head_ += "\r\nConnection: close";
  } else if (old) {
    head_ += "\r\nConnection: keep-alive";
  }
  head_ += "\r\n\r\n";
}

Task<> Session::write_response(Response& response, const Request& request, bool old) {
  bool to_head = request.method == Method::head;
  Framing framing = Framing::length;
  std::uint64_t length = response.body.size();
  if (response.stream) {
    framing = response.stream_length ? Framing::length : old ? Framing::to_end : Framing::chunked;
    length = response.stream_length.value_or(0);
  }
  if (!has_body(response.status)) framing = Framing::none;
  if (framing == Framing::to_end && !to_head) keep_alive_ = false;
  make_head(response, to_head, framing, length, old);
  net::Clock::duration idle = core_->options.body_idle;
  if (to_head || framing == Framing::none) {
    co_await connection_.write({head_}, idle);
  } else if (!response.stream) {
    co_await connection_.write({head_, response.body}, idle);
  } else {
    try {
      co_await connection_.write_from(head_, *response.stream, framing, length, idle);
    } catch (const Error& error) {
      // The header is out, so the answer can only be broken off; the peer sees that by its framing.
      log::warn("an answer broke off", {{"request", request.id}, {"error", error.what()}});
      throw;
    }
  }
}

/// An answer to what is no request; the connection ends with it.
Task<> Session::refuse(int status, std::string_view reason) {
  Response response;
  response.status = status;
  response.headers.add("Content-Type", "text/plain; charset=utf-8");
  response.body = std::string(reason) + "\n";
  keep_alive_ = false;
  unread_ = true;
  make_head(response, false, Framing::length, response.body.size(), false);
  co_await connection_.write({head_, response.body}, core_->options.body_idle);
}

/// Reads what the handler left of a body. False when it was too much.
Task<bool> Session::drop_rest(RequestBody& body) {
  if (body.done()) co_return true;
  connection_.deadline().set(core_->options.header_time);
  auto piece = std::make_unique_for_overwrite<char[]>(16 * 1024);
  std::size_t dropped = 0;
  try {
    while (!body.done()) {
      dropped += co_await body.drop({piece.get(), 16 * 1024});
      if (dropped > drop_limit) co_return false;
    }
  } catch (const Error&) {
    co_return false;
  }
  unread_ = false;
  co_return true;
}

/// Reads on for a moment after the last answer: closing with unread bytes would reset the connection, and the
/// answer with it.
Task<> Session::linger() {
  connection_.deadline().set(linger_time);
  std::array<char, 4096> piece;
  std::size_t dropped = 0;
  while (dropped < drop_limit) {
    std::size_t got = co_await connection_.read_direct(piece);
    if (got == 0) co_return;
    dropped += got;
  }
}

}  // namespace terrane::http
