#pragma once
#include <memory>
#include <set>
#include <string>

#include <boost/asio/cancellation_signal.hpp>

#include "http/connection.h"
#include "http/server.h"

namespace terrane::http {

class Session;

/// What the connections of a server share.
struct ServerCore {
  ServerCore(net::Executor executor_, Handler handler_, Server::ErrorHandler on_error_,
             ServerOptions options_);

  net::Executor executor;
  Handler handler;
  Server::ErrorHandler on_error;
  ServerOptions options;
  std::shared_ptr<Deadlines> deadlines;
  std::set<Session*> sessions;
  bool stopping = false;
  net::Event session_ended;

  /// A fresh request id.
  std::string next_id();
  /// The value of the Date field, made once a second.
  const std::string& date();

 private:
  std::string id_prefix_;
  std::uint64_t ids_ = 0;
  std::time_t date_of_ = 0;
  std::string date_;
};

/// One connection of a server: reads requests one after the other and writes their answers.
class Session {
 public:
  Session(std::shared_ptr<ServerCore> core, std::unique_ptr<Stream> stream, std::string peer);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Serves until either side closes. Never throws.
  static Task<> run(std::shared_ptr<Session> self);
  /// Closes when no request has begun.
  void close_if_idle();
  /// Closes now and cancels the handler.
  void cut();
  /// Emitted by `cut`; bound to the coroutine of `run`.
  boost::asio::cancellation_signal& cancellation() noexcept { return cancellation_; }

 private:
  class RequestBody;

  Task<> serve();
  Task<bool> serve_one();
  Task<bool> read_head(std::size_t& size);
  Task<bool> answer_request(RequestHead head);
  Task<Response> ask_handler(Request& request);
  Task<> write_response(Response& response, const Request& request, bool old);
  Task<> refuse(int status, std::string_view reason);
  Task<bool> drop_rest(RequestBody& body);
  Task<> linger();
  void make_head(const Response& response, bool to_head, Framing framing, std::uint64_t length, bool old);

  std::shared_ptr<ServerCore> core_;
  Connection connection_;
  boost::asio::cancellation_signal cancellation_;
  std::string peer_;
  std::string client_name_;
  std::string head_;         // of the answer; kept for its room
  bool in_request_ = false;  // since the first byte of one
  bool keep_alive_ = true;   // of the answer that is being made
  bool unread_ = false;      // something of the peer's was left unread: close gently
};

}  // namespace terrane::http
