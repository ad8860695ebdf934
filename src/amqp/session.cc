#include "amqp/session.h"

#include <amqp.h>
#include <amqp_tcp_socket.h>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <memory>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace terrane::amqp {
namespace {

constexpr std::chrono::milliseconds connect_limit{3'000};
constexpr amqp_channel_t channel = 1;
constexpr timeval handshake_limit{5, 0};
constexpr timeval call_limit{5, 0};
constexpr timeval consume_limit{3, 0};
constexpr timeval goodbye_limit{0, 300'000};
constexpr timeval at_once{0, 0};
constexpr int heartbeat_seconds = 10;
constexpr int largest_frame = 131'072;

amqp_bytes_t bytes_of(const std::string& text) { return {text.size(), const_cast<char*>(text.data())}; }

std::string string_of(amqp_bytes_t bytes) {
  return std::string(static_cast<const char*>(bytes.bytes), bytes.len);
}

std::uint64_t number_of(amqp_bytes_t digits) { return std::strtoull(string_of(digits).c_str(), nullptr, 10); }

std::string describe(const amqp_rpc_reply_t& reply) {
  if (reply.reply_type == AMQP_RESPONSE_LIBRARY_EXCEPTION) return amqp_error_string2(reply.library_error);
  if (reply.reply_type != AMQP_RESPONSE_SERVER_EXCEPTION) return "no answer";
  if (reply.reply.id == AMQP_CHANNEL_CLOSE_METHOD)
    return string_of(static_cast<amqp_channel_close_t*>(reply.reply.decoded)->reply_text);
  if (reply.reply.id == AMQP_CONNECTION_CLOSE_METHOD) {
    return string_of(static_cast<amqp_connection_close_t*>(reply.reply.decoded)->reply_text);
  }
  return "refused";
}

amqp_table_entry_t flag_entry(const char* name) {
  amqp_table_entry_t entry{};
  entry.key = amqp_cstring_bytes(name);
  entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  entry.value.value.boolean = 1;
  return entry;
}

using Addresses = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

Addresses resolve(const Options& options) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  int problem = getaddrinfo(options.host.c_str(), std::to_string(options.port).c_str(), &hints, &found);
  if (problem != 0) throw SessionLost(std::string("the broker's name: ") + gai_strerror(problem));
  return Addresses(found, &freeaddrinfo);
}

/// A connected socket, or -1 with the reason in `failure`.
int try_connect(const addrinfo& address, Worker& worker, std::string& failure) {
  int handle = socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (handle < 0) throw SessionLost("no socket");
  int problem = connect(handle, address.ai_addr, address.ai_addrlen) == 0 ? 0 : errno;
  if (problem == EINPROGRESS) {
    socklen_t size = sizeof problem;
    if (!worker.wait_connected(handle, connect_limit))
      problem = ETIMEDOUT;
    else
      getsockopt(handle, SOL_SOCKET, SO_ERROR, &problem, &size);
  }
  if (problem == 0) return handle;
  failure = std::strerror(problem);
  close(handle);
  return -1;
}

}  // namespace

Session::Session(const Options& options, Worker& worker)
    : worker_(worker),
      state_(amqp_new_connection()),
      passing_prefix_(options.passing_prefix),
      passing_life_(options.passing_life) {
  if (!state_) throw std::bad_alloc();
  try {
    connect_socket(options);
    log_in(options);
  } catch (...) {
    worker_.attach(-1);
    amqp_destroy_connection(state_);
    throw;
  }
  sound_ = true;
}

Session::~Session() {
  if (sound_) {
    amqp_set_rpc_timeout(state_, &goodbye_limit);
    amqp_connection_close(state_, AMQP_REPLY_SUCCESS);
  }
  worker_.attach(-1);
  amqp_destroy_connection(state_);
}

void Session::connect_socket(const Options& options) {
  Addresses addresses = resolve(options);
  std::string failure;
  int handle = -1;
  for (const addrinfo* each = addresses.get(); each && handle < 0 && !worker_.stopping();
       each = each->ai_next) {
    handle = try_connect(*each, worker_, failure);
  }
  if (handle < 0) throw SessionLost("cannot connect: " + failure);
  int on = 1;
  setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  amqp_socket_t* socket = amqp_tcp_socket_new(state_);
  if (!socket) {
    close(handle);
    throw std::bad_alloc();
  }
  amqp_tcp_socket_set_sockfd(socket, handle);
  worker_.attach(handle);
}

void Session::log_in(const Options& options) {
  amqp_set_handshake_timeout(state_, &handshake_limit);
  amqp_set_rpc_timeout(state_, &call_limit);
  amqp_table_entry_t notify = flag_entry("consumer_cancel_notify");
  amqp_table_entry_t capabilities{};
  capabilities.key = amqp_cstring_bytes("capabilities");
  capabilities.value.kind = AMQP_FIELD_KIND_TABLE;
  capabilities.value.value.table = {1, &notify};
  amqp_table_t properties{1, &capabilities};
  check(amqp_login_with_properties(state_, options.vhost.c_str(), 1, largest_frame, heartbeat_seconds,
                                   &properties, AMQP_SASL_METHOD_PLAIN, options.user.c_str(),
                                   options.password.reveal().c_str()),
        "login");
  amqp_channel_open(state_, channel);
  check_reply("channel");
}

void Session::lose(const std::string& what) {
  sound_ = false;
  throw SessionLost(what);
}

void Session::check(const amqp_rpc_reply_t& reply, const char* what) {
  if (reply.reply_type == AMQP_RESPONSE_NORMAL) return;
  std::string text = std::string(what) + ": " + describe(reply);
  if (reply.reply_type != AMQP_RESPONSE_LIBRARY_EXCEPTION || reply.library_error != AMQP_STATUS_TIMEOUT)
    lose(text);
  sound_ = false;
  throw CallTimedOut(text);
}

void Session::check(int status, const char* what) {
  if (status != AMQP_STATUS_OK) lose(std::string(what) + ": " + amqp_error_string2(status));
}

void Session::check_reply(const char* what) { check(amqp_get_rpc_reply(state_), what); }

void Session::declare(const std::string& queue) {
  if (declared_.contains(queue)) return;
  amqp_table_entry_t entries[2]{};
  entries[0].key = amqp_cstring_bytes("x-queue-type");
  entries[0].value.kind = AMQP_FIELD_KIND_UTF8;
  entries[0].value.value.bytes = amqp_cstring_bytes("quorum");
  // Another life needs another prefix: a queue is refused whose arguments are not those that it has.
  entries[1].key = amqp_cstring_bytes("x-expires");
  entries[1].value.kind = AMQP_FIELD_KIND_I64;
  entries[1].value.value.i64 = passing_life_.count();
  const bool passing = !passing_prefix_.empty() && queue.starts_with(passing_prefix_);
  amqp_queue_declare(state_, channel, bytes_of(queue), 0, 1, 0, 0, {passing ? 2 : 1, entries});
  check_reply("queue");
  declared_.insert(queue);
}

void Session::request_confirms() {
  amqp_confirm_select(state_, channel);
  check_reply("confirms");
}

void Session::publish(const std::string& queue, const std::string& body, std::uint64_t tag) {
  std::string id = std::to_string(tag);
  amqp_basic_properties_t properties{};
  properties._flags = AMQP_BASIC_DELIVERY_MODE_FLAG | AMQP_BASIC_MESSAGE_ID_FLAG;
  properties.delivery_mode = AMQP_DELIVERY_PERSISTENT;
  properties.message_id = bytes_of(id);
  check(amqp_basic_publish(state_, channel, amqp_empty_bytes, bytes_of(queue), 1, 0, &properties,
                           bytes_of(body)),
        "publish");
}

void Session::remove(const std::string& queue) {
  amqp_queue_delete(state_, channel, bytes_of(queue), 0, 0);
  check_reply("delete");
}

void Session::consume(const std::string& queue, std::uint16_t prefetch, std::uint64_t number) {
  std::string tag = std::to_string(number);
  amqp_set_rpc_timeout(state_, &consume_limit);
  amqp_basic_qos(state_, channel, 0, prefetch, 0);
  check_reply("prefetch");
  amqp_basic_consume(state_, channel, bytes_of(queue), bytes_of(tag), 0, 0, 0, amqp_empty_table);
  check_reply("consume");
  amqp_set_rpc_timeout(state_, &call_limit);
}

void Session::cancel_consume(std::uint64_t number) {
  std::string tag = std::to_string(number);
  amqp_basic_cancel(state_, channel, bytes_of(tag));
  check_reply("cancel");
}

void Session::acknowledge(std::uint64_t tag) {
  check(amqp_basic_ack(state_, channel, tag, 0), "acknowledge");
}

void Session::read_message(Incoming& incoming) {
  amqp_message_t message{};
  check(amqp_read_message(state_, channel, &message, 0), "message");
  incoming.body = string_of(message.body);
  if (message.properties._flags & AMQP_BASIC_MESSAGE_ID_FLAG)
    incoming.message_id = string_of(message.properties.message_id);
  amqp_destroy_message(&message);
}

Incoming Session::read_method(const amqp_method_t& method) {
  Incoming incoming;
  if (method.id == AMQP_BASIC_ACK_METHOD) {
    const auto& ack = *static_cast<const amqp_basic_ack_t*>(method.decoded);
    incoming = {.kind = Incoming::Kind::confirmed, .tag = ack.delivery_tag, .multiple = ack.multiple != 0};
  } else if (method.id == AMQP_BASIC_NACK_METHOD) {
    const auto& nack = *static_cast<const amqp_basic_nack_t*>(method.decoded);
    incoming = {.kind = Incoming::Kind::refused, .tag = nack.delivery_tag, .multiple = nack.multiple != 0};
  } else if (method.id == AMQP_BASIC_DELIVER_METHOD) {
    const auto& delivery = *static_cast<const amqp_basic_deliver_t*>(method.decoded);
    incoming = {.kind = Incoming::Kind::delivered,
                .tag = delivery.delivery_tag,
                .consumption = number_of(delivery.consumer_tag)};
    read_message(incoming);
  } else if (method.id == AMQP_BASIC_RETURN_METHOD) {
    incoming.kind = Incoming::Kind::returned;
    read_message(incoming);
  } else if (method.id == AMQP_CHANNEL_CLOSE_METHOD) {
    lose("channel closed: " +
         string_of(static_cast<const amqp_channel_close_t*>(method.decoded)->reply_text));
  } else if (method.id == AMQP_CONNECTION_CLOSE_METHOD) {
    lose("connection closed: " +
         string_of(static_cast<const amqp_connection_close_t*>(method.decoded)->reply_text));
  } else if (method.id == AMQP_BASIC_CANCEL_METHOD) {
    lose("the queue was deleted");
  }
  return incoming;
}

bool Session::receive(Incoming& incoming) {
  amqp_maybe_release_buffers(state_);
  amqp_frame_t frame{};
  int status = amqp_simple_wait_frame_noblock(state_, &frame, &at_once);
  if (status == AMQP_STATUS_TIMEOUT) return false;
  check(status, "receive");
  incoming = frame.frame_type == AMQP_FRAME_METHOD ? read_method(frame.payload.method) : Incoming{};
  return true;
}

void Session::wait(std::chrono::milliseconds limit) { worker_.wait(amqp_get_sockfd(state_), limit); }

}  // namespace terrane::amqp
