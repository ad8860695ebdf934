#include "shim/state_keeper.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "crypto/hash.h"
#include "shim/durable.h"
#include "shim/layout.h"

namespace terrane::shim {
namespace {

using namespace std::chrono_literals;
using worker_protocol::Slot;
using worker_protocol::State;

constexpr auto look_interval = 250ms;
constexpr std::uint64_t least_reserved = 1024 * 1024, most_reserved = 64 * 1024 * 1024;
constexpr std::size_t intermediate_reserve = 2;  // what the end of a phase needs is never used up on the way

/// What tells that a file was written: its identity and the kernel's times.
struct Look {
  ino_t node = 0;
  off_t size = 0;
  std::int64_t modified = 0;
  bool operator==(const Look&) const = default;
};

}  // namespace

std::optional<SpooledState> seal_state(const Spool& spool, int descriptor, const StateFacts& facts,
                                       const Slot& slot, bool intermediate, Instances& instances) {
  State state{slot.object, facts.lineage, facts.md5, facts.serial, facts.size, intermediate};
  SpooledState spooled = spool.next_state(state);
  sealed::Identity identity{slot.object,
                            "state",
                            spool.meta().workspace,
                            {{"lineage", facts.lineage},
                             {"serial", std::to_string(facts.serial)},
                             {"md5", facts.md5},
                             {"run", spool.meta().run},
                             {"time", iso8601(now())}}};
  SealedFile sealed(spooled.file, {slot.key, slot.wrapped}, identity);
  crypto::Hasher md5(crypto::HashKind::md5);
  InstanceReader reader;
  for (std::uint64_t position = 0; position < static_cast<std::uint64_t>(facts.size);) {
    std::string piece = read_at(descriptor, position, 256 * 1024, "a state");
    if (piece.empty()) break;
    md5.update(piece);
    sealed.write(piece);
    reader.feed(piece);
    position += piece.size();
  }
  // The header says what the file held when it was looked through; the engine may have written since.
  if (hex(md5.finish()) != facts.md5) return std::nullopt;
  sealed.commit();
  spool.add_state(spooled);
  instances = reader.instances();
  return spooled;
}

Task<> send_state(JobApi& api, Lease lease, Spool spool, SpooledState spooled) {
  co_await api.put_object(lease, spooled.state.object, "state", spooled.file);
  std::exception_ptr refused;
  try {
    co_await api.post_state(lease, spooled.state);
  } catch (const Error& failure) {
    if (failure.code() != Code::invalid) throw;
    refused = std::current_exception();
  }
  if (refused) {
    co_await api.post_recovered(lease, spooled.state);
    spool.drop(spooled);
    std::rethrow_exception(refused);
  }
  spool.acknowledge(spooled);
}

void reserve_room(const RunFiles& files, const std::string& state_file, std::uint64_t disk_bytes) {
  std::optional<struct stat> status = files.look(state_file);
  std::uint64_t size = status && S_ISREG(status->st_mode) ? static_cast<std::uint64_t>(status->st_size) : 0;
  std::uint64_t most = std::min(most_reserved, disk_bytes / 8);
  files.reserve(state_file, std::min(std::max(least_reserved, 2 * size), most));
  files.reserve(events_file, std::min(least_reserved, most));
}

struct StateKeeper::Impl {
  Impl(net::Executor ex, JobApi& job_api, Slots& of_phase, const Spool& of,
       std::shared_ptr<RunFiles> run_files, std::uint64_t disk)
      : executor(ex),
        api(job_api),
        slots(of_phase),
        spool(of),
        lease{of.meta().job, of.meta().lease},
        files(std::move(run_files)),
        disk_bytes(disk),
        changed(ex),
        lineage(of.meta().lineage),
        serial(of.meta().serial) {}

  static Task<> look_again(std::shared_ptr<Impl> self);
  static Task<> send(std::shared_ptr<Impl> self);
  Task<> send_next();
  Task<> capture(bool last);
  Task<std::optional<Slot>> pick_slot(bool last);
  void queue(SpooledState spooled);

  net::Executor executor;
  JobApi& api;
  Slots& slots;
  Spool spool;
  Lease lease;
  std::shared_ptr<RunFiles> files;
  std::uint64_t disk_bytes;
  net::Event changed;
  std::string lineage;  // of the last state that was taken
  std::int64_t serial;
  std::string md5;
  std::optional<State> newest;  // the last one that was taken in this phase
  bool last_word = false;       // `newest` is uploaded, but known as an intermediate one
  Instances saved;
  Look seen;
  std::optional<SpooledState> under_way, waiting;
  bool watching = false;
  bool capturing = false;
  bool sending = false;
  bool stopped = false;
  std::exception_ptr failure;
};

void StateKeeper::Impl::queue(SpooledState spooled) {
  if (waiting) spool.drop(*waiting);
  waiting = std::move(spooled);
  changed.notify();
}

Task<std::optional<Slot>> StateKeeper::Impl::pick_slot(bool last) {
  if (!last) co_return slots.take(intermediate_reserve);
  co_return co_await slots.wait();
}

Task<> StateKeeper::Impl::capture(bool last) {
  std::optional<sandbox::Descriptor> file = files->open(spool.meta().state_file);
  if (!file) co_return;
  int descriptor = file->get();
  std::optional<StateFacts> facts = co_await net::blocking_result<std::optional<StateFacts>>(
      [descriptor] { return read_state(descriptor); });
  if (!facts) co_return;
  if (!may_follow(*facts, lineage, serial)) {
    log::warn("a state was passed over: other lineage or smaller serial",
              {{"job", lease.job}, {"serial", facts->serial}, {"before", serial}});
    co_return;
  }
  if (facts->md5 == md5) {
    if (last)
      saved = co_await net::blocking_result<Instances>([descriptor] { return read_instances(descriptor); });
    if (!last || !newest || !newest->intermediate) co_return;
    // Already taken as an intermediate one: the same object once more, with the last word.
    newest->intermediate = false;
    if (waiting) {
      waiting->state.intermediate = false;
      spool.add_state(*waiting);
    } else {
      last_word = true;
      changed.notify();
    }
    co_return;
  }
  std::optional<Slot> slot = co_await pick_slot(last);
  if (!slot) co_return;
  std::optional<SpooledState> spooled = co_await net::blocking_result<std::optional<SpooledState>>(
      [&] { return seal_state(spool, descriptor, *facts, *slot, !last, saved); });
  if (!spooled) co_return;
  lineage = facts->lineage;
  serial = facts->serial;
  md5 = facts->md5;
  newest = spooled->state;
  queue(*std::move(spooled));
}

Task<> StateKeeper::Impl::look_again(std::shared_ptr<Impl> self) {
  while (self->watching && !self->stopped) {
    std::optional<struct stat> status = self->files->look(self->spool.meta().state_file);
    Look look;
    if (status)
      look = {status->st_ino, status->st_size,
              status->st_mtim.tv_sec * 1'000'000'000 + status->st_mtim.tv_nsec};
    if (status && look != self->seen) {
      self->seen = look;
      self->capturing = true;
      try {
        co_await self->capture(false);
      } catch (const Error& failure) {
        log::warn("an intermediate state was not kept",
                  {{"job", self->lease.job}, {"error", failure.what()}});
      }
      self->capturing = false;
      self->changed.notify();
    }
    // The engine frees what was set aside when it writes its state anew.
    reserve_room(*self->files, self->spool.meta().state_file, self->disk_bytes);
    co_await self->changed.wait_for(look_interval);
  }
}

Task<> StateKeeper::Impl::send_next() {
  if (under_way) {
    co_await send_state(api, lease, spool, *under_way);
  } else {
    co_await api.post_state(lease, *newest);
    last_word = false;
  }
}

Task<> StateKeeper::Impl::send(std::shared_ptr<Impl> self) {
  while (!self->stopped && !self->failure) {
    if (!self->waiting && !self->last_word) {
      co_await self->changed.wait_for(10s);
      continue;
    }
    self->under_way = std::exchange(self->waiting, std::nullopt);
    self->sending = true;
    try {
      std::function<Task<>()> attempt = [&self] { return self->send_next(); };
      co_await persistently(attempt, [&self] { return self->stopped; });
    } catch (const Error& failure) {
      log::warn("a state was not taken", {{"job", self->lease.job}, {"error", failure.what()}});
      // A refused intermediate state is no harm; the last one's refusal is the phase's error.
      bool harmless =
          failure.code() != Code::conflict && self->under_way && self->under_way->state.intermediate;
      if (!harmless) self->failure = std::current_exception();
    }
    self->under_way.reset();
    self->sending = false;
    self->changed.notify();
  }
}

StateKeeper::StateKeeper(net::Executor executor, JobApi& api, Slots& slots, const Spool& spool,
                         std::shared_ptr<RunFiles> files, std::optional<StateFacts> known,
                         std::uint64_t disk_bytes)
    : impl_(std::make_shared<Impl>(executor, api, slots, spool, std::move(files), disk_bytes)) {
  if (known) {
    impl_->lineage = known->lineage;
    impl_->serial = known->serial;
    impl_->md5 = known->md5;
  }
  net::spawn(executor, "states", Impl::send(impl_));
}

StateKeeper::~StateKeeper() {
  impl_->stopped = true;
  impl_->changed.notify();
}

void StateKeeper::watch() {
  impl_->watching = true;
  net::spawn(impl_->executor, "state watch", Impl::look_again(impl_));
}

Task<> StateKeeper::take_last() {
  std::shared_ptr<Impl> self = impl_;
  self->watching = false;
  while (self->capturing) co_await self->changed.wait_for(1s);
  co_await self->capture(true);
}

const Instances& StateKeeper::saved() const noexcept { return impl_->saved; }

Task<> StateKeeper::sent() {
  std::shared_ptr<Impl> self = impl_;
  while ((self->waiting || self->sending || self->last_word) && !self->failure)
    co_await self->changed.wait_for(1s);
  if (self->failure) std::rethrow_exception(self->failure);
}

}  // namespace terrane::shim
