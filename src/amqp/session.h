#pragma once
#include <chrono>
#include <cstdint>
#include <set>
#include <stdexcept>
#include <string>

#include "amqp/options.h"
#include "amqp/worker.h"

struct amqp_connection_state_t_;
struct amqp_method_t_;
struct amqp_rpc_reply_t_;

namespace terrane::amqp {

/// The connection cannot be made or is lost; the text is for the log.
class SessionLost : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// The broker lives but did not answer a call in time.
class CallTimedOut : public SessionLost {
 public:
  using SessionLost::SessionLost;
};

/// What the broker sent by itself.
struct Incoming {
  enum class Kind { other, confirmed, refused, returned, delivered };
  Kind kind = Kind::other;
  std::uint64_t tag = 0;          ///< of a delivery or confirmation
  bool multiple = false;          ///< of a confirmation: all up to `tag`
  std::uint64_t consumption = 0;  ///< of a delivery: the number given to `consume`
  std::string body;               ///< of a delivery
  std::string message_id;         ///< of a returned message
};

/// One connection and channel to the broker, for one thread. Everything throws SessionLost, after which only
/// destruction is allowed.
class Session {
 public:
  /// Connects and logs in, in at most about 8 s.
  Session(const Options& options, Worker& worker);
  /// Closes politely when nothing was lost, in at most 0.3 s.
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  /// Declares a durable quorum queue; once per name and session.
  void declare(const std::string& queue);
  void forget_declared(const std::string& queue) { declared_.erase(queue); }
  void request_confirms();
  /// Sends a persistent message that comes back when no queue takes it.
  void publish(const std::string& queue, const std::string& body, std::uint64_t tag);
  /// Deletes a queue with its messages.
  void remove(const std::string& queue);
  /// Begins to consume with at most `prefetch` unacknowledged messages, under a number that is new on this
  /// connection.
  void consume(const std::string& queue, std::uint16_t prefetch, std::uint64_t number);
  void cancel_consume(std::uint64_t number);
  void acknowledge(std::uint64_t tag);
  /// Takes the next thing that the broker sent; false when nothing has come. It keeps the heartbeat going, so
  /// call it each second or so.
  bool receive(Incoming& incoming);
  /// Suspends the thread until input, `wake`, or `limit`.
  void wait(std::chrono::milliseconds limit);

 private:
  void connect_socket(const Options& options);
  void log_in(const Options& options);
  void check(const amqp_rpc_reply_t_& reply, const char* what);
  void check(int status, const char* what);
  void check_reply(const char* what);
  [[noreturn]] void lose(const std::string& what);
  Incoming read_method(const amqp_method_t_& method);
  void read_message(Incoming& incoming);

  Worker& worker_;
  amqp_connection_state_t_* state_;
  std::string passing_prefix_;
  std::chrono::milliseconds passing_life_;
  std::set<std::string> declared_;
  bool sound_ = false;
};

}  // namespace terrane::amqp
