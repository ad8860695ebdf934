#include "sandbox/broker_client.h"

#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>

#include "net/io.h"
#include "sandbox/broker_protocol.h"
#include "sandbox/descriptor.h"
#include "sandbox/readable.h"

namespace terrane::sandbox {

namespace {

constexpr auto connect_limit = std::chrono::seconds(5);  // a broker that is started again is back before
constexpr auto connect_pause = std::chrono::milliseconds(50);

/// A broker that nobody can connect to has not got the request: it may be sent again without harm.
Task<Descriptor> connect_to(std::filesystem::path path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof address.sun_path)
    throw Error(Code::unavailable, "The broker's socket has too long a path.");
  std::strncpy(address.sun_path, path.c_str(), sizeof address.sun_path - 1);
  const auto deadline = net::Clock::now() + connect_limit;
  while (true) {
    Descriptor socket =
        checked(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
    if (connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) co_return socket;
    const int failure = errno;
    if (net::Clock::now() > deadline) {
      throw Error(Code::unavailable,
                  std::string("The broker cannot be reached: ") + std::strerror(failure) + ".");
    }
    co_await net::sleep_for(connect_pause);
  }
}

Task<json::object> exchange(std::filesystem::path path, json::object request, int descriptor) {
  Descriptor socket = co_await connect_to(std::move(path));
  int size = 1 << 20;
  setsockopt(socket.get(), SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
  request["version"] = broker_protocol_version;
  std::span<const int> descriptors(&descriptor, descriptor < 0 ? 0 : 1);
  if (!send_message(socket.get(), json::serialize(request), descriptors))
    throw Error(Code::unavailable, "The broker does not take the request.");
  co_await wait_readable(socket.get());
  std::optional<Message> answer = receive_message(socket.get(), most_broker_answer, false);
  if (!answer) throw Error(Code::unavailable, "The broker closed the connection without an answer.");
  json::value parsed = parse_json(answer->bytes);
  if (!parsed.is_object()) throw Error(Code::internal, "The broker's answer is not understood.");
  throw_answered_error(parsed.as_object());
  co_return std::move(parsed.as_object());
}

Task<> exchange_into(std::filesystem::path path, json::object request, int descriptor, json::object& answer) {
  answer = co_await exchange(std::move(path), std::move(request), descriptor);
}

Task<json::object> ask(std::filesystem::path path, json::object request, int descriptor = -1) {
  json::object answer;
  co_await net::with_deadline(std::chrono::seconds(15), "The broker",
                              exchange_into(std::move(path), std::move(request), descriptor, answer));
  co_return answer;
}

}  // namespace

Task<StartedShim> BrokerClient::start_phase(PhaseRequest request) {
  json::object document = to_json(request);
  document["verb"] = "start";
  document["job"] = request.job >= 0;
  json::object answer = co_await ask(socket_, std::move(document), request.job);
  StartedShim started;
  started.pid = static_cast<pid_t>(require_int(answer, "pid"));
  started.run_directory = require_string(answer, "run_directory");
  co_return started;
}

Task<> BrokerClient::release(std::string run) {
  json::object document{{"verb", "release"}, {"run", run}};
  co_await ask(socket_, std::move(document));
}

Task<std::filesystem::path> BrokerClient::adopt(std::string run) {
  json::object document{{"verb", "adopt"}, {"run", run}};
  json::object answer = co_await ask(socket_, std::move(document));
  co_return std::filesystem::path(require_string(answer, "run_directory"));
}

Task<std::vector<PhaseInfo>> BrokerClient::list() {
  json::object document{{"verb", "list"}};
  json::object answer = co_await ask(socket_, std::move(document));
  std::vector<PhaseInfo> phases;
  const json::array* array = find_array(answer, "phases");
  if (!array) throw Error(Code::internal, "The broker's list is not understood.");
  for (const json::value& entry : *array) {
    if (entry.is_object()) phases.push_back(parse_phase_info(entry.as_object()));
  }
  co_return phases;
}

Task<> BrokerClient::kill(std::string phase) {
  json::object document{{"verb", "kill"}, {"phase", phase}};
  co_await ask(socket_, std::move(document));
}

}  // namespace terrane::sandbox
