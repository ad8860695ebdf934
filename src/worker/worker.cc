#include "worker/worker.h"

#include <sys/stat.h>

#include "amqp/consumer.h"
#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "crypto/random.h"
#include "sandbox/broker_client.h"
#include "sandbox/descriptor.h"
#include "shim/job_api.h"
#include "shim/order.h"
#include "shim/spool.h"
#include "worker/engine_store.h"
#include "worker/kept.h"
#include "worker/phase_process.h"
#include "worker/salvage.h"

namespace terrane::worker {
namespace {

using namespace std::chrono_literals;
namespace fs = std::filesystem;
using worker_protocol::Job;
using worker_protocol::Phase;

constexpr auto start_limit =
    15s;  // how long an earlier phase of the run may hold up the next, and a start the worker's end
constexpr auto sweep_interval = 30s;
constexpr net::Clock::duration first_pause = 50ms;  // after a claim that failed

void make_directory(const fs::path& path) {
  std::error_code failure;
  fs::create_directories(path, failure);
  if (failure || ::chmod(path.c_str(), 0700) != 0)
    throw Error(Code::internal, "The directory " + path.string() + " cannot be made.");
}

}  // namespace

struct Worker::Impl : std::enable_shared_from_this<Worker::Impl> {
  Impl(net::Executor ex, WorkerOptions given)
      : executor(ex),
        options(std::move(given)),
        spools(options.data / "spool"),
        kept(options.data / "kept"),
        incarnation(crypto::random_uuid()),
        api(ex, options.api),
        broker(options.broker_socket),
        engines(options.engine_store),
        changed(ex) {}

  Task<> take_up();
  static Task<> report(std::shared_ptr<Impl> self);
  static Task<> release_kept(std::shared_ptr<Impl> self, std::string run);
  static Task<> sweep(std::shared_ptr<Impl> self);
  static Task<> take_jobs(std::shared_ptr<Impl> self);
  Task<bool> claim_one();
  static Task<> begin(std::shared_ptr<Impl> self, Job job);
  Task<> start(Job& job);
  Task<> make_room(const Job& job, shim::ShimOrder& order);
  std::optional<shim::Spool> spool_of(const shim::Lease& lease) const;
  Task<> give_back(shim::Lease lease, std::string error);
  static Task<> follow(std::shared_ptr<Impl> self, std::string job, std::string run, std::string phase,
                       pid_t pid);
  Task<> conclude(const std::string& job, const std::string& run);
  void count(const std::string& job, const std::string& run);
  void done(const std::string& job);
  void messages(std::shared_ptr<Impl> self);
  void acknowledge(std::size_t most);
  std::size_t free_slots() const {
    return options.capacity > active.size() ? options.capacity - active.size() : 0;
  }
  bool taking() const { return !stopping && !draining && registered; }

  net::Executor executor;
  WorkerOptions options;
  fs::path spools;
  KeptDirectories kept;
  std::string incarnation;
  shim::JobApi api;
  sandbox::BrokerClient broker;
  EngineStore engines;
  std::map<std::string, std::string> active;  // job to run: claimed, executing or being salvaged
  std::set<std::string> unreadable;           // jobs with a spool of an unknown version
  std::size_t starting = 0;                   // of these, not handed to a shim yet
  bool draining = false;
  bool stopping = false;
  bool registered = false;  // the control plane knows this incarnation; before, it gives no job
  bool look_now = false;    // a message, a fresh connection or a free slot says so
  std::optional<amqp::Consumer> consumer;
  std::uint16_t prefetch = 0;
  std::vector<std::function<void()>> deliveries;  // not acknowledged yet
  net::Event changed;                             // anything above
};

void Worker::Impl::count(const std::string& job, const std::string& run) { active[job] = run; }

void Worker::Impl::done(const std::string& job) {
  active.erase(job);
  look_now = true;  // a slot is free, and what waits was perhaps announced while none was
  changed.notify();
}

// ---- jobs from before

Task<> Worker::Impl::take_up() {
  shim::Spool::clear_remains(spools);
  for (const std::string& id : shim::Spool::jobs(spools)) {
    try {
      shim::Spool spool = shim::Spool::open(spools / id);
      count(id, spool.meta().run);
      net::spawn(executor, "taken-up phase",
                 follow(shared_from_this(), id, spool.meta().run, spool.meta().sandbox_phase(), -1));
      log::info("a phase is taken up", {{"job", id}, {"run", spool.meta().run}});
    } catch (const Error& failure) {
      // A newer worker's, perhaps, whose shim lives: it is still reported as ours, or the control plane would
      // take the job for lost.
      unreadable.insert(id);
      log::error("a spool cannot be read and is left where it is", {{"job", id}, {"error", failure.what()}});
    }
  }
  co_return;
}

// ---- the node

Task<> Worker::Impl::report(std::shared_ptr<Impl> self) {
  bool away = false;
  while (!self->stopping) {
    net::Clock::duration pause = self->options.report_interval;
    try {
      std::vector<std::string> jobs;
      for (const auto& [job, run] : self->active) jobs.push_back(job);
      for (const std::string& job : self->unreadable) {
        if (fs::exists(self->spools / job)) jobs.push_back(job);
      }
      shim::NodeAnswer answer =
          co_await self->api.report_node(self->options.node, self->options.name, self->incarnation,
                                         self->options.capacity, jobs, self->kept.all());
      bool more = !self->registered || (self->draining && !answer.draining);
      self->registered = true;
      self->draining = answer.draining;
      if (more) self->look_now = true;
      // A closed lease needs nothing here: its shim learns the same from its next beat, and a salvage from
      // its next call.
      for (const std::string& job : answer.closed) log::info("a job's lease is closed", {{"job", job}});
      for (const std::string& run : answer.ended) co_await release_kept(self, run);
      if (std::exchange(away, false)) log::info("the job API answers again");
      self->changed.notify();
    } catch (const Error& failure) {
      if (!std::exchange(away, true))
        log::warn("the node could not be reported", {{"error", failure.what()}});
      pause = std::min<net::Clock::duration>(pause, 1s);
    }
    net::Clock::time_point next = net::Clock::now() + pause;
    while (!self->stopping && net::Clock::now() < next)
      co_await self->changed.wait_for(next - net::Clock::now());
  }
}

/// Gives a kept run directory back, unless a phase of the run is here.
Task<> Worker::Impl::release_kept(std::shared_ptr<Impl> self, std::string run) {
  bool in_use = std::any_of(self->active.begin(), self->active.end(),
                            [&](const auto& job) { return job.second == run; });
  if (in_use) co_return;
  try {
    co_await self->broker.release(run);
    self->kept.take(run);
  } catch (const Error& failure) {
    // A conflict: another worker's phase of the run is in there, and the directory is its business now.
    if (failure.code() == Code::conflict) self->kept.take(run);
    log::warn("a kept run directory was not released", {{"run", run}, {"error", failure.what()}});
  }
}

Task<> Worker::Impl::sweep(std::shared_ptr<Impl> self) {
  while (!self->stopping) {
    for (const std::string& run : self->kept.due(self->options.keep_time, self->options.keep_count)) {
      co_await release_kept(self, run);
    }
    net::Clock::time_point next = net::Clock::now() + sweep_interval;
    while (!self->stopping && net::Clock::now() < next)
      co_await self->changed.wait_for(next - net::Clock::now());
  }
}

// ---- taking jobs

void Worker::Impl::messages(std::shared_ptr<Impl> self) {
  std::weak_ptr<Impl> weak = self;
  auto wake = [weak] {
    if (std::shared_ptr<Impl> impl = weak.lock()) {
      impl->look_now = true;
      impl->changed.notify();
    }
  };
  auto deliver = [weak, wake](amqp::Delivery delivery) {
    if (std::shared_ptr<Impl> impl = weak.lock()) impl->deliveries.push_back(std::move(delivery.ack));
    wake();
  };
  prefetch = static_cast<std::uint16_t>(std::min<std::size_t>(free_slots(), 1000));
  consumer.emplace(executor, *options.queue, options.queue_name, prefetch, deliver, wake);
}

void Worker::Impl::acknowledge(std::size_t most) {
  for (; most > 0 && !deliveries.empty(); --most) {
    deliveries.front()();
    deliveries.erase(deliveries.begin());
  }
}

// Takes one job if one waits. A message is taken off its queue when its look has been done: with a job, or
// for all when nothing waits.
Task<bool> Worker::Impl::claim_one() {
  std::optional<Job> job =
      co_await api.claim(options.node, incarnation, deliveries.empty() ? "look" : "message");
  acknowledge(job ? 1 : deliveries.size());
  if (!job) co_return false;
  if (active.contains(job->id)) {
    // The lease before was closed, and what it left is still being cleared up here; another look will give it
    // again.
    co_await give_back({job->id, job->lease},
                       "The job's earlier attempt is still being cleared up on this node.");
    co_return false;
  }
  count(job->id, job->run);
  ++starting;
  net::spawn(executor, "phase", begin(shared_from_this(), *std::move(job)));
  co_return true;
}

Task<> Worker::Impl::take_jobs(std::shared_ptr<Impl> self) {
  net::Clock::duration pause = first_pause;
  while (!self->stopping) {
    std::uint16_t wanted =
        self->taking() ? static_cast<std::uint16_t>(std::min<std::size_t>(self->free_slots(), 1000)) : 0;
    if (self->consumer && wanted != std::exchange(self->prefetch, wanted))
      self->consumer->set_prefetch(wanted);
    bool more = false, failed = false;
    if (self->taking() && self->free_slots() > 0 && self->look_now) {
      self->look_now = false;
      try {
        more = co_await self->claim_one();
        pause = first_pause;
      } catch (const Error& failure) {
        if (pause == first_pause) log::warn("no job could be claimed", {{"error", failure.what()}});
        failed = true;
      }
      self->look_now = self->look_now || more || failed;
      if (failed)
        co_await net::sleep_for(std::exchange(pause, std::min<net::Clock::duration>(pause * 2, 2s)));
      continue;
    }
    std::chrono::milliseconds look = self->options.look_interval;
    bool woken = co_await self->changed.wait_for(look.count() > 0 ? look : 60s);
    if (!woken && look.count() > 0) self->look_now = true;
  }
}

// ---- one phase

Task<> Worker::Impl::begin(std::shared_ptr<Impl> self, Job job) {
  shim::Lease lease{job.id, job.lease};
  std::string run = job.run, error;
  std::optional<shim::Spool> spool;
  try {
    co_await self->start(job);
  } catch (const std::exception& failure) {
    log::error("a phase could not be started", {{"job", lease.job}, {"error", failure.what()}});
    error = failure.what();
    spool = self->spool_of(lease);
  }
  --self->starting;
  self->changed.notify();
  if (error.empty()) co_return;
  if (spool) {
    // What has started and what has not is seen by the same eyes as after a crash.
    co_await follow(self, lease.job, run, spool->meta().sandbox_phase(), -1);
    co_return;
  }
  co_await self->give_back(lease, error);
  self->done(lease.job);
}

std::optional<shim::Spool> Worker::Impl::spool_of(const shim::Lease& lease) const {
  try {
    shim::Spool spool = shim::Spool::open(spools / lease.job);
    if (spool.meta().lease == lease.lease) return spool;
  } catch (const Error&) {
    // None, or one that nobody can read: not this lease's.
  }
  return std::nullopt;
}

Task<> Worker::Impl::give_back(shim::Lease lease, std::string error) {
  std::function<Task<>()> attempt = [&] { return api.post_lost(lease, error, "", false); };
  try {
    co_await shim::persistently(attempt, [this] { return stopping; });
  } catch (const Error& failure) {
    log::warn("a job was not given back", {{"job", lease.job}, {"error", failure.what()}});
  }
}

// Sees to it that the run directory is the plan's, or fresh.
Task<> Worker::Impl::make_room(const Job& job, shim::ShimOrder& order) {
  net::Clock::time_point deadline = net::Clock::now() + start_limit;
  auto earlier = [&] {
    return std::any_of(active.begin(), active.end(),
                       [&](const auto& other) { return other.second == job.run && other.first != job.id; });
  };
  while (earlier() && net::Clock::now() < deadline) co_await changed.wait_for(deadline - net::Clock::now());
  std::optional<std::string> hash = kept.take(job.run);
  if (hash && job.phase == Phase::apply)
    order.kept_plan_sha256 = *hash;
  else
    co_await release_run(broker, job.run);
}

Task<> Worker::Impl::start(Job& job) {
  shim::ShimOrder order;
  order.api = options.api;
  order.api.tls_session = api.tls_session();
  order.platform = options.platform;
  order.providers = options.provider_store;
  order.kept = options.data / "kept";
  try {
    order.engine = co_await engines.find(job.engine, job.engine_version);
  } catch (const Error& failure) {
    order.engine_error = failure.detail();
  }
  co_await make_room(job, order);
  std::string id = job.id, run = job.run;
  shim::Spool spool = shim::Spool::create(spools, shim::SpoolMeta::of(job));

  sandbox::PhaseRequest request;
  request.run = job.run;
  request.phase = spool.meta().sandbox_phase();
  request.memory_bytes = static_cast<std::uint64_t>(job.memory_bytes);
  request.cpus = job.cpus;
  request.processes = static_cast<std::uint32_t>(job.processes);
  request.tmpfs_bytes = static_cast<std::uint64_t>(job.disk_bytes);
  request.grace = options.grace;
  request.spool = spool.directory();
  bool reachable = !options.platform.host.empty() || !options.platform.unix_path.empty();
  if (reachable && !job.hostname.empty()) {
    std::size_t colon = job.hostname.rfind(':');
    std::optional<std::int64_t> port =
        colon == std::string::npos ? 443 : parse_int(std::string_view(job.hostname).substr(colon + 1));
    request.hostname = job.hostname.substr(0, colon);
    request.relay_port = static_cast<std::uint16_t>(port.value_or(443));
  }
  order.job = std::move(job);
  sandbox::Descriptor file = sandbox::make_memory_file(json::serialize(shim::to_json(order)));
  request.job = file.get();
  sandbox::StartedShim started = co_await broker.start_phase(std::move(request));
  net::spawn(executor, "phase",
             follow(shared_from_this(), id, run, spool.meta().sandbox_phase(), started.pid));
}

Task<> Worker::Impl::follow(std::shared_ptr<Impl> self, std::string job, std::string run, std::string phase,
                            pid_t pid) {
  co_await wait_for_shim(self->broker, phase, pid);
  while (true) {
    try {
      if (fs::exists(self->spools / job)) {
        co_await salvage({self->executor, self->api, self->broker, self->options.grace + 30s},
                         shim::Spool::open(self->spools / job));
        self->kept.take(run);  // the directory is gone with it
      }
      co_await self->conclude(job, run);
      break;
    } catch (const std::exception& failure) {
      log::error("a phase could not be brought to its end; trying again",
                 {{"job", job}, {"error", failure.what()}});
    }
    co_await net::sleep_for(1s);
  }
  self->done(job);
}

// The run directory goes, unless a plan left it for its apply.
Task<> Worker::Impl::conclude(const std::string& job, const std::string& run) {
  if (kept.has(run)) co_return;
  try {
    co_await release_run(broker, run);
  } catch (const Error& failure) {
    if (failure.code() != Code::conflict) throw;
    log::warn("a run directory is in use by another phase", {{"job", job}, {"run", run}});
  }
}

// ---- the role

Worker::Worker(net::Executor executor, WorkerOptions options)
    : impl_(std::make_shared<Impl>(executor, std::move(options))) {}

Worker::~Worker() {
  impl_->stopping = true;
  impl_->consumer.reset();
  impl_->changed.notify();
}

Task<> Worker::run(net::Stop& stop) {
  std::shared_ptr<Impl> self = impl_;
  for (const char* part : {"spool", "kept"}) make_directory(self->options.data / part);
  co_await self->take_up();
  net::spawn(self->executor, "node report", Impl::report(self));
  net::spawn(self->executor, "sweep of run directories", Impl::sweep(self));
  net::spawn(self->executor, "engines", self->engines.warm_up());
  self->look_now = true;
  if (self->options.queue) self->messages(self);
  net::spawn(self->executor, "job taker", Impl::take_jobs(self));
  log::info("worker is up", {{"node", self->options.node},
                             {"capacity", self->options.capacity},
                             {"taken_up", self->active.size()}});

  while (!co_await stop.wait_for(60s)) {
  }
  self->stopping = true;
  self->changed.notify();
  self->consumer.reset();
  // A job that was claimed is handed to its shim, else its lease would have to run out.
  net::Clock::time_point deadline = net::Clock::now() + start_limit;
  while (self->starting > 0 && net::Clock::now() < deadline)
    co_await self->changed.wait_for(deadline - net::Clock::now());
}

}  // namespace terrane::worker
