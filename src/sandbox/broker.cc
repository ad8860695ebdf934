#include "sandbox/broker.h"

#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/error.h"
#include "base/log.h"
#include "sandbox/broker_protocol.h"
#include "sandbox/cgroup.h"
#include "sandbox/descriptor.h"
#include "sandbox/network.h"
#include "sandbox/phases.h"
#include "sandbox/processes.h"
#include "sandbox/readable.h"
#include "sandbox/routing.h"
#include "sandbox/run_directory.h"
#include "sandbox/slot.h"

namespace terrane::sandbox {

using namespace std::chrono_literals;
namespace fs = std::filesystem;

namespace {

constexpr int most_connections = 64;

std::vector<Cidr> parse_all(const std::vector<std::string>& texts) {
  std::vector<Cidr> ranges;
  ranges.reserve(texts.size());
  for (const std::string& text : texts) ranges.push_back(parse_cidr(text));
  return ranges;
}

void check(const BrokerOptions& options) {
  if (geteuid() != 0) throw Error(Code::forbidden, "The broker needs root.");
  if (!is_safe_name(options.installation))
    throw Error(Code::unprocessable, "The installation's name is not 1 to 64 letters, digits, '-' and '_'.");
  bool range =
      options.first_uid >= 1000 && options.uid_count >= 1 && options.uid_count <= 1000000 &&
      options.first_uid <= 4294000000u &&
      (options.worker_uid < options.first_uid || options.worker_uid >= options.first_uid + options.uid_count);
  if (!range)
    throw Error(Code::unprocessable,
                "The range of uids for runs must lie from 1000 up and not hold the worker's.");
  for (const fs::path* path : {&options.socket, &options.root, &options.binary, &options.bwrap}) {
    if (!path->is_absolute())
      throw Error(Code::unprocessable, "'" + path->string() + "' must be an absolute path.");
  }
  if (options.socket.native().size() >= sizeof(sockaddr_un::sun_path))
    throw Error(Code::unprocessable, "The socket's path is too long.");
}

}  // namespace

struct Broker::Impl {
  Impl(net::Executor ex, BrokerOptions given)
      : executor(ex),
        options(std::move(given)),
        cgroups(options.installation),
        runs({options.root, options.worker_uid, options.worker_gid, options.first_uid, options.uid_count}),
        unreachable(parse_all(options.unreachable)) {}

  // A run that one request works on; another request for it meanwhile is refused.
  class Hold {
   public:
    Hold(std::set<std::string>& held, std::string run) : held_(held), run_(std::move(run)) {
      if (!held_.insert(run_).second)
        throw Error(Code::conflict, "Another request for the run '" + run_ + "' is being served.");
    }
    ~Hold() { held_.erase(run_); }
    Hold(const Hold&) = delete;
    Hold& operator=(const Hold&) = delete;

   private:
    std::set<std::string>& held_;
    std::string run_;
  };

  void prepare();
  void listen();
  static Task<> accept_all(std::shared_ptr<Impl> self);
  static Task<> serve(std::shared_ptr<Impl> self, Descriptor connection);
  Task<json::object> answer(const json::object& request, std::vector<Descriptor> descriptors);
  Task<json::object> start(PhaseRequest request, Descriptor job);
  Task<pid_t> launch(const PhaseRequest& request, Slot slot, int job);
  Task<> release(std::string run);
  Task<json::object> adopt(std::string run);
  Descriptor describe(const PhaseRequest& request, uid_t uid, const Slot& slot, std::size_t relays,
                      bool job) const;

  net::Executor executor;
  BrokerOptions options;
  Cgroups cgroups;
  RunDirectories runs;
  std::vector<Cidr> unreachable;
  std::unique_ptr<SlotPool> slots;
  std::unique_ptr<Phases> phases;
  std::set<std::string> held;
  Descriptor lock;
  Descriptor listener;
  int connections = 0;
};

Broker::Broker(net::Executor executor, BrokerOptions options) {
  check(options);
  impl_ = std::make_shared<Impl>(std::move(executor), std::move(options));
}
Broker::~Broker() = default;

void Broker::Impl::prepare() {
  if (!cgroups.limits()) {
    if (!options.weak_limits) throw Error(Code::unavailable, cgroups.why_not() + " Runs cannot be limited.");
    log::warn("runs have weak limits only", {{"reason", cgroups.why_not()}});
  }
  runs.prepare();
  fs::path file = options.root / "broker.lock";
  lock = checked(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600),
                 "Opening " + file.string());
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0)
    throw Error(Code::conflict, "Another broker uses " + options.root.string() + ".");
  phases = std::make_unique<Phases>(
      executor, Phases::Options{runs.records(), runs.base(), options.after_grace}, cgroups);
  phases->recover();
  if (!options.slirp.empty() && access(options.slirp.c_str(), X_OK) != 0) {
    log::warn("slirp4netns is missing, so sandboxes have no network", {{"path", options.slirp.string()}});
  }
  HoldPlan plan;
  plan.binary = options.binary;
  plan.bwrap = options.bwrap;
  plan.runs_mount = runs.base();
  plan.environment = options.shim_environment;
  plan.worker_uid = options.worker_uid;
  plan.worker_gid = options.worker_gid;
  slots =
      std::make_unique<SlotPool>(executor, cgroups, std::move(plan),
                                 NetworkMaker(executor, options.slirp, unreachable), options.network_pool);
  listen();
}

void Broker::Impl::listen() {
  listener = checked(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), "socket");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, options.socket.c_str(), sizeof address.sun_path - 1);
  unlink(options.socket.c_str());
  mode_t before = umask(0177);
  bool bound = bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  umask(before);
  if (!bound) fail("Binding " + options.socket.string());
  if (chown(options.socket.c_str(), options.worker_uid, options.worker_gid) != 0 ||
      chmod(options.socket.c_str(), 0600) != 0 || ::listen(listener.get(), 64) != 0) {
    fail("Listening on " + options.socket.string());
  }
}

Task<> Broker::run(net::Stop& stop) {
  using namespace boost::asio::experimental::awaitable_operators;
  std::shared_ptr<Impl> self = impl_;
  self->prepare();
  log::info("broker is ready", {{"socket", self->options.socket.string()}, {"phases", self->phases->size()}});
  auto until_stopped = [](net::Stop& wish) -> Task<> {
    while (!co_await wish.wait_for(1h)) continue;
  };
  co_await (Impl::accept_all(self) || until_stopped(stop) ||
            (self->slots->run(stop) && self->phases->run(stop)));
  self->listener.reset();
  unlink(self->options.socket.c_str());
  for (int i = 0; i < 1500 && self->connections > 0; ++i) co_await net::sleep_for(10ms);
  co_await self->slots->close();
}

Task<> Broker::Impl::accept_all(std::shared_ptr<Impl> self) {
  // Watched all the time and not by wait_readable, which needs a descriptor each time and so may fail.
  boost::asio::posix::stream_descriptor readable(
      self->executor, checked(fcntl(self->listener.get(), F_DUPFD_CLOEXEC, 3), "dup").release());
  for (;;) {
    // Too many at once wait in the backlog.
    while (self->connections >= most_connections) co_await net::sleep_for(20ms);
    co_await readable.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                 boost::asio::use_awaitable);
    Descriptor connection(accept4(self->listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!connection) {
      if (errno != EAGAIN) co_await net::sleep_for(50ms);  // out of descriptors, for one
      continue;
    }
    net::spawn(self->executor, "broker connection", serve(self, std::move(connection)));
  }
}

Task<> Broker::Impl::serve(std::shared_ptr<Impl> self, Descriptor connection) {
  ++self->connections;
  std::shared_ptr<void> counted(nullptr, [self](void*) { --self->connections; });
  json::object reply;
  try {
    ucred peer{};
    socklen_t size = sizeof peer;
    if (getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) fail("SO_PEERCRED");
    bool stranger = peer.uid != self->options.worker_uid && peer.uid != 0;
    // Read even from a stranger: a connection that is closed over an unread request loses the answer.
    co_await net::with_deadline(stranger ? 1s : 10s, "The client", wait_readable(connection.get()));
    std::optional<Message> message = receive_message(connection.get(), most_broker_request, false);
    if (!message) co_return;
    if (stranger) {
      log::warn("a stranger asked the broker", {{"uid", peer.uid}, {"pid", peer.pid}});
      throw Error(Code::forbidden, "Only the worker's user may ask the broker.");
    }
    json::value request = parse_json(message->bytes, 8);
    if (!request.is_object()) throw Error(Code::invalid, "The request must be an object.");
    reply = co_await self->answer(request.as_object(), std::move(message->descriptors));
  } catch (const Error& error) {
    reply = error_answer(error);
    if (error.code() == Code::internal)
      log::error("a request to the broker failed", {{"error", error.what()}});
  } catch (const std::exception& error) {
    reply = error_answer(Error(Code::internal, error.what()));
    log::error("a request to the broker failed", {{"error", error.what()}});
  }
  send_message(connection.get(), json::serialize(reply), {}, false);
}

Task<json::object> Broker::Impl::answer(const json::object& request, std::vector<Descriptor> descriptors) {
  if (require_int(request, "version") != broker_protocol_version)
    throw Error(Code::invalid, "The broker speaks another version.");
  std::string verb = require_string(request, "verb");
  auto run_name = [&request] {
    std::string run = require_string(request, "run");
    if (!is_safe_name(run)) throw Error(Code::unprocessable, "'run' is not allowed.", "/run");
    return run;
  };
  if (verb == "start") {
    bool with_job = find_bool(request, "job").value_or(false);
    if (descriptors.size() != (with_job ? 1u : 0u))
      throw Error(Code::invalid, "The job's descriptor is missing.");
    PhaseRequest wanted = parse_phase_request(request);
    Descriptor job = with_job ? std::move(descriptors[0]) : Descriptor();
    co_return co_await start(std::move(wanted), std::move(job));
  }
  if (verb == "list") {
    json::array list;
    for (const PhaseInfo& info : phases->list()) list.push_back(to_json(info));
    co_return json::object{{"phases", std::move(list)}};
  }
  if (verb == "release") {
    co_await release(run_name());
    co_return json::object{};
  }
  if (verb == "adopt") co_return co_await adopt(run_name());
  if (verb == "kill") {
    co_await phases->kill(require_string(request, "phase"));
    co_return json::object{};
  }
  throw Error(Code::invalid, "The broker does not know the verb '" + verb + "'.");
}

Task<json::object> Broker::Impl::start(PhaseRequest request, Descriptor job) {
  Hold hold(held, request.run);
  if (std::optional<std::string> live = phases->live_phase_of(request.run)) {
    throw Error(Code::conflict, "The run '" + request.run + "' still has the phase '" + *live + "'.");
  }
  if (phases->contains(request.phase))
    throw Error(Code::conflict, "The phase '" + request.phase + "' exists.");
  phases->forget(request.run, 8);
  if (phases->size() >= most_phases) {
    throw Error(Code::unavailable,
                "The broker already keeps " + std::to_string(most_phases) + " phases; release runs.");
  }

  std::exception_ptr failure;
  pid_t shim = -1;
  try {
    Slot slot = co_await slots->take(request.network);
    shim = co_await launch(request, std::move(slot), job.get());
  } catch (...) {
    failure = std::current_exception();
  }
  if (failure) {
    // What this request made goes again; what earlier phases left in the run directory stays.
    bool first = phases->count(request.run) == (phases->contains(request.phase) ? 1 : 0);
    phases->abandon(request.phase);
    if (first && runs.uid_of(request.run)) co_await runs.release(request.run);
    std::rethrow_exception(failure);
  }
  co_return json::object{{"pid", shim}, {"run_directory", runs.path(request.run).string()}};
}

// Turns a slot into the phase and waits until its processes are on their way. Returns the shim's pid.
Task<pid_t> Broker::Impl::launch(const PhaseRequest& request, Slot slot, int job) {
  std::vector<Descriptor> relays;
  Descriptor description;
  Assignment assignment;
  try {
    assignment.run_uid = runs.open(request.run, request.tmpfs_bytes);
    if (!request.hostname.empty()) relays = listen_inside(slot.network, request.relay_port);
    cgroups.limit(slot.cgroups, {request.memory_bytes, request.cpus, request.processes});
    description = describe(request, assignment.run_uid, slot, relays.size(), job >= 0);
    PhaseRecord record;
    record.phase = request.phase;
    record.run = request.run;
    record.cgroups = slot.name;
    record.uid = assignment.run_uid;
    record.shim = slot.shim.pid;
    record.shim_start = start_time_of(slot.shim.pid);
    record.grace = request.grace;
    phases->add(record);  // on record before anything of it runs; without its assignment a shim ends
  } catch (...) {
    slots->discard(std::move(slot));
    throw;
  }
  if (!cgroups.limits()) {
    assignment.weak_memory_bytes = request.memory_bytes;
    assignment.weak_processes = request.processes;
  }
  assignment.description = description.get();
  assignment.job = job;
  for (const Descriptor& relay : relays) assignment.relays.push_back(relay.get());

  co_await assign(slot.shim, assignment);
  co_return slot.shim.pid;
}

Descriptor Broker::Impl::describe(const PhaseRequest& request, uid_t uid, const Slot& slot,
                                  std::size_t relays, bool job) const {
  json::array limits;
  if (cgroups.limits()) {
    for (const fs::path& cgroup : slot.cgroups.run) limits.emplace_back(cgroup.string());
  }
  json::object document{{"version", broker_protocol_version},
                        {"run", request.run},
                        {"phase", request.phase},
                        {"spool", request.spool.string()},
                        {"run_directory", runs.path(request.run).string()},
                        {"broker_socket", options.socket.string()},
                        {"hostname", request.hostname},
                        {"relay_port", request.relay_port},
                        {"run_uid", uid},
                        {"grace", request.grace.count()},
                        {"network", slot.network.outside},
                        {"relays", relays},
                        {"job", job},
                        {"cgroups", std::move(limits)}};
  return make_memory_file(json::serialize(document));
}

Task<> Broker::Impl::release(std::string run) {
  Hold hold(held, run);
  if (std::optional<std::string> live = phases->live_phase_of(run)) {
    throw Error(Code::conflict, "The run '" + run + "' still has the phase '" + *live + "'.");
  }
  co_await runs.release(run);
  phases->forget(run, 0);
}

Task<json::object> Broker::Impl::adopt(std::string run) {
  Hold hold(held, run);
  std::optional<uid_t> uid = runs.uid_of(run);
  if (!uid) throw Error(Code::not_found, "There is no run directory of '" + run + "'.");
  if (processes_by_uid().contains(*uid))
    throw Error(Code::conflict, "Processes of the run '" + run + "' still live.");
  if (std::optional<std::string> live = phases->live_phase_of(run)) {
    throw Error(Code::conflict, "The run '" + run + "' still has the phase '" + *live + "'.");
  }
  co_await runs.adopt(run);
  co_return json::object{{"run_directory", runs.path(run).string()}};
}

}  // namespace terrane::sandbox
