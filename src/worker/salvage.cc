#include "worker/salvage.h"

#include <fcntl.h>

#include "base/error.h"
#include "base/log.h"
#include "sealed/log.h"
#include "shim/apply_events.h"
#include "shim/durable.h"
#include "shim/log_shipper.h"
#include "shim/run_files.h"
#include "shim/state_keeper.h"
#include "worker/phase_process.h"

namespace terrane::worker {
namespace {

using namespace std::chrono_literals;
using namespace shim;
using worker_protocol::Outcome;
using worker_protocol::Phase;
using worker_protocol::State;

// The control plane wants the counter to grow. A shim counts its beats from 1, and each salvage from a number
// of its own.
constexpr std::int64_t beats_of_one = 1'000'000'000;
constexpr auto beat_interval = 2s;

/// One salvage under way.
class Salvage {
 public:
  Salvage(SalvageTools tools, Spool spool)
      : tools_(std::move(tools)),
        spool_(std::move(spool)),
        lease_{spool_.meta().job, spool_.meta().lease},
        beats_(std::make_shared<Beats>(tools_, lease_, spool_.meta().sandbox_phase())) {}
  ~Salvage() { beats_->stopped = true; }

  Task<> run() {
    log::warn("a phase has lost its shim and is salvaged", {{"job", lease_.job}, {"run", spool_.meta().run}});
    beats_->first = spool_.begin_salvage() * beats_of_one;
    // A phase that never started has no beat, by which the control plane knows that it may be given out
    // again.
    if (spool_.started()) net::spawn(tools_.executor, "beats of a salvage", Beats::run(beats_));
    co_await wait_for_processes();
    co_await adopt();
    bool closed = false;
    try {
      co_await report();
    } catch (const Error& failure) {
      if (failure.code() == Code::unavailable || failure.code() == Code::internal) throw;
      log::warn("the control plane does not take a salvaged phase",
                {{"job", lease_.job}, {"error", failure.what()}});
      closed = true;
    }
    beats_->stopped = true;
    if (closed) co_await offer();
    // The run directory goes last of all: while it is there, this can begin again.
    co_await release_run(tools_.broker, spool_.meta().run);
    if (!closed || wanted_)
      spool_.remove();
    else
      spool_.set_aside();
    log::info("a phase is salvaged", {{"job", lease_.job}, {"closed", closed ? "yes" : "no"}});
  }

 private:
  struct Beats {
    Beats(const SalvageTools& tools, Lease of, std::string name)
        : api(tools.api), broker(tools.broker), lease(std::move(of)), phase(std::move(name)) {}
    JobApi& api;
    sandbox::BrokerClient& broker;
    Lease lease;
    std::string phase;
    std::int64_t first = 0;
    bool stopped = false;

    static Task<> run(std::shared_ptr<Beats> self) {
      for (std::int64_t counter = self->first; !self->stopped; ++counter) {
        try {
          worker_protocol::Wish wish = co_await self->api.beat(self->lease, counter);
          if (wish == worker_protocol::Wish::force_cancel && !self->stopped)
            co_await self->broker.kill(self->phase);
        } catch (const Error& failure) {
          if (failure.code() == Code::conflict) co_return;
        }
        co_await net::sleep_for(beat_interval);
      }
    }
  };

  Task<bool> processes_gone() {
    std::vector<sandbox::PhaseInfo> phases;
    std::function<Task<>()> attempt = [&]() -> Task<> { phases = co_await tools_.broker.list(); };
    co_await persistently(attempt);
    for (const sandbox::PhaseInfo& info : phases) {
      if (info.phase == spool_.meta().sandbox_phase())
        co_return info.ended || (info.processes == 0 && !info.shim_alive);
    }
    co_return true;
  }

  Task<> wait_for_processes() {
    net::Clock::time_point deadline = net::Clock::now() + tools_.patience;
    while (!co_await processes_gone()) {
      if (net::Clock::now() > deadline) {
        log::warn("processes of a phase without shim are killed", {{"job", lease_.job}});
        try {
          co_await tools_.broker.kill(spool_.meta().sandbox_phase());
        } catch (const Error& failure) {
          log::warn("the broker could not kill them", {{"job", lease_.job}, {"error", failure.what()}});
        }
      }
      co_await net::sleep_for(100ms);
    }
  }

  Task<> adopt() {
    std::optional<std::filesystem::path> directory;
    for (int attempt = 0; attempt < 100 && !directory; ++attempt) {
      bool again = false;
      try {
        std::function<Task<>()> ask = [&]() -> Task<> {
          directory = co_await tools_.broker.adopt(spool_.meta().run);
        };
        co_await persistently(ask);
      } catch (const Error& failure) {
        again = failure.code() == Code::conflict;
        if (!again)
          log::warn("a run directory is not there to be salvaged",
                    {{"run", spool_.meta().run}, {"error", failure.what()}});
      }
      if (!again) break;
      co_await net::sleep_for(100ms);
    }
    if (directory) files_.emplace(*directory);
  }

  // State, log, objects, then the phase's end: the order in which nothing is lost and nothing is shown too
  // early.
  Task<> report() {
    std::optional<Outcome> outcome = spool_.result();
    bool engine_may_have_run = spool_.started() && spool_.meta().phase == Phase::apply;
    if (engine_may_have_run && !outcome) co_await save_state();
    co_await send_states();
    for (const SpooledObject& object : outcome ? spool_.objects() : std::vector<SpooledObject>()) {
      std::function<Task<>()> attempt = [&] {
        return tools_.api.put_object(lease_, object.object, object.kind, object.file);
      };
      co_await persistently(attempt);
      spool_.drop(object);
    }
    co_await send_log(outcome.has_value());
    std::function<Task<>()> last = [&] {
      return outcome ? tools_.api.post_result(lease_, *outcome) : post_lost();
    };
    co_await persistently(last);
  }

  // Takes the run directory's state into the spool, unless the control plane or the spool has it already.
  Task<> save_state() {
    std::optional<sandbox::Descriptor> file;
    if (files_) file = files_->open(spool_.meta().state_file);
    if (!file) co_return;
    int descriptor = file->get();
    std::optional<StateFacts> facts =
        co_await net::blocking_result<std::optional<StateFacts>>([&] { return read_state(descriptor); });
    if (!facts) co_return;
    std::optional<State> last = spool_.acknowledged();
    std::vector<SpooledState> waiting = spool_.states();
    if (!waiting.empty()) last = waiting.back().state;
    const std::string& lineage = last ? last->lineage : spool_.meta().lineage;
    std::int64_t serial = last ? last->serial : spool_.meta().serial;
    if (!may_follow(*facts, lineage, serial)) {
      log::warn("a state was passed over: other lineage or smaller serial",
                {{"job", lease_.job}, {"serial", facts->serial}, {"before", serial}});
      co_return;
    }
    saved_ = co_await net::blocking_result<Instances>([&] { return read_instances(descriptor); });
    // Of the state that the phase began with only the serial is known; the engine raises it whenever
    // something changed.
    bool known = last ? last->md5 == facts->md5 : facts->serial == spool_.meta().serial;
    if (known) co_return;
    std::vector<worker_protocol::Slot> slots;
    std::function<Task<>()> ask = [&]() -> Task<> { slots = co_await tools_.api.slots(lease_, 1); };
    co_await persistently(ask);
    if (slots.empty()) throw Error(Code::unavailable, "The job API gave no object for a state.");
    co_await net::blocking([&] { seal_state(spool_, descriptor, *facts, slots.front(), false, saved_); });
  }

  Task<> send_states() {
    for (const SpooledState& state : spool_.states()) {
      std::function<Task<>()> attempt = [&] { return send_state(tools_.api, lease_, spool_, state); };
      try {
        co_await persistently(attempt);
      } catch (const Error& failure) {
        // A single state that is refused must not hold back what follows; it has been offered as recovered.
        if (failure.code() != Code::invalid) throw;
        log::error("a salvaged state was refused",
                   {{"job", lease_.job}, {"serial", state.state.serial}, {"error", failure.what()}});
      }
    }
  }

  // With a result the shim's last record (the ETX) belongs to the log, if the shim did not come to append it.
  Task<> send_log(bool finished) {
    std::uint64_t size = co_await net::blocking_result<std::uint64_t>([&] { return complete_log(finished); });
    if (size > 0)
      co_await ship_segment(tools_.api, lease_, spool_.meta().log_segment, spool_.log_file(), size);
  }

  std::uint64_t complete_log(bool finished) {
    sandbox::Descriptor file(::open(spool_.log_file().c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC));
    if (!file) return 0;
    sealed::LogIndex index;
    std::string last_bytes;
    while (true) {
      std::string piece = read_at(file.get(), index.fed(), 256 * 1024, "a spooled log");
      if (piece.empty()) break;
      index.feed(piece);
    }
    // A record that was being written when the shim died is no record.
    std::uint64_t size = index.sealed_end();
    std::optional<std::string> end;
    if (finished) end = read_file(spool_.log_end_file(), sealed::record_limit);
    if (!end) return size;
    std::uint64_t from = size >= end->size() ? size - end->size() : 0;
    if (read_at(file.get(), from, end->size(), "a spooled log") == *end) return size;
    if (::ftruncate(file.get(), static_cast<off_t>(size)) != 0 || ::lseek(file.get(), 0, SEEK_END) < 0) {
      throw Error(Code::internal, "Cutting a spooled log failed.");
    }
    write_fully(file.get(), *end, "a spooled log");
    return size + end->size();
  }

  Task<> post_lost() {
    std::string imports, error = "The process that kept this plan ended unexpectedly.";
    if (spool_.meta().phase == Phase::apply) {
      error =
          "The process that kept this apply ended unexpectedly. The state is the last one that the engine "
          "wrote.";
      std::optional<sandbox::Descriptor> file;
      if (files_) file = files_->open(spool_.meta().events_file, Holes::allowed);
      if (file)
        imports = co_await net::blocking_result<std::string>(
            [&] { return import_list(read_apply_events(file->get()).made, saved_); });
    }
    if (!spool_.started()) error = "The phase could not be started on its node.";
    co_await tools_.api.post_lost(lease_, error, imports, spool_.started());
  }

  // The late thing that a closed lease admits: the newest state, if it is not the control plane's already.
  Task<> offer() {
    std::vector<SpooledState> states = spool_.states();
    wanted_ = true;
    if (states.empty()) co_return;
    const SpooledState& newest = states.back();
    std::function<Task<>()> attempt = [&]() -> Task<> {
      co_await tools_.api.put_object(lease_, newest.state.object, "state", newest.file);
      co_await tools_.api.post_recovered(lease_, newest.state);
    };
    try {
      co_await persistently(attempt);
    } catch (const Error& failure) {
      if (failure.code() == Code::unavailable || failure.code() == Code::internal) throw;
      wanted_ = false;
      log::error("a state was not taken as recovered", {{"job", lease_.job}, {"error", failure.what()}});
    }
  }

  SalvageTools tools_;
  Spool spool_;
  Lease lease_;
  std::shared_ptr<Beats> beats_;
  std::optional<RunFiles> files_;
  Instances saved_;      // what the last saved state has
  bool wanted_ = false;  // the control plane took what a closed lease admits
};

}  // namespace

Task<> salvage(SalvageTools tools, Spool spool) {
  Salvage under_way(std::move(tools), std::move(spool));
  co_await under_way.run();
}

}  // namespace terrane::worker
