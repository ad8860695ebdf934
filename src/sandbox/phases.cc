#include "sandbox/phases.h"

#include <signal.h>
#include <sys/statvfs.h>
#include <sys/wait.h>

#include "base/error.h"
#include "base/log.h"
#include "sandbox/processes.h"

namespace terrane::sandbox {

using namespace std::chrono_literals;

Phases::Phases(net::Executor executor, Options options, const Cgroups& cgroups)
    : options_(std::move(options)), cgroups_(cgroups), records_(options_.records), added_(executor) {}

void Phases::recover() {
  std::set<std::string> known;
  for (PhaseRecord& record : records_.load()) {
    Phase phase;
    phase.record = std::move(record);
    known.insert(phase.record.cgroups);
    std::string name = phase.record.phase;
    phases_.insert_or_assign(name, std::move(phase));
  }
  for (std::string& name : cgroups_.names()) {
    if (!known.contains(name)) stale_.push_back(std::move(name));
  }
}

// Kills and removes cgroups of no phase: an earlier broker had made them ahead.
void Phases::clear_stale() {
  std::erase_if(stale_, [this](const std::string& name) {
    PhaseCgroups cgroups = cgroups_.of(name);
    kill_processes(cgroups.run);
    kill_processes(cgroups.shim);
    return cgroups_.remove(cgroups);
  });
}

bool Phases::shim_alive(const Phase& phase) const {
  if (phase.record.shim <= 0 || phase.record.ended) return false;
  return start_time_of(phase.record.shim) == phase.record.shim_start && phase.record.shim_start != 0;
}

std::uint32_t Phases::processes(const Phase& phase) const {
  PhaseCgroups cgroups = cgroups_.of(phase.record.cgroups);
  if (!cgroups.run.empty()) return count_processes(cgroups.run);
  std::map<uid_t, std::uint32_t> counts = processes_by_uid();
  auto found = counts.find(phase.record.uid);
  return found == counts.end() ? 0 : found->second;
}

void Phases::kill_sandbox(const Phase& phase) const {
  kill_processes(cgroups_.of(phase.record.cgroups).run);
  kill_all_of(phase.record.uid);
}

LimitsHit Phases::limits(const Phase& phase) const {
  if (phase.record.ended) return phase.record.limits;
  LimitsHit hit = read_limits(cgroups_.of(phase.record.cgroups).run);
  struct statvfs storage{};
  if (statvfs((options_.runs / phase.record.run).c_str(), &storage) == 0) {
    hit.storage_full = storage.f_bavail == 0 || storage.f_ffree == 0;
  }
  return hit;
}

// One look at a phase: reap the shim, note its end, kill what outstays its grace, clean up when all is gone.
void Phases::tend(Phase& phase) {
  if (!phase.record.ended) {
    if (shim_alive(phase)) return;
    // Dead for sure, so it is reaped now when it was a child of ours; a look before the question would miss
    // one that dies in between.
    if (phase.record.shim > 0) waitpid(phase.record.shim, nullptr, WNOHANG);
    net::Clock::time_point now = net::Clock::now();
    if (!phase.shim_gone) phase.shim_gone = now;
    if (processes(phase) > 0) {
      bool overdue = now >= *phase.shim_gone + phase.record.grace + options_.after_grace;
      if (overdue) log::warn("a sandbox outstayed its shim and its grace", {{"phase", phase.record.phase}});
      if (overdue || phase.abandoned) kill_sandbox(phase);
      return;
    }
    phase.record.limits = limits(phase);
    phase.record.ended = true;
    records_.save(phase.record);
  }
  PhaseCgroups cgroups = cgroups_.of(phase.record.cgroups);
  kill_processes(cgroups.shim);  // what the shim may have started
  phase.cgroups_removed = cgroups_.remove(cgroups);
}

// Whether any phase needs another look soon.
bool Phases::tend_all() {
  clear_stale();
  bool soon = !stale_.empty();
  for (auto at = phases_.begin(); at != phases_.end();) {
    Phase& phase = at->second;
    try {
      if (!phase.record.ended || !phase.cgroups_removed) tend(phase);
    } catch (const std::exception& failure) {
      log::error("a phase could not be tended", {{"phase", at->first}, {"error", failure.what()}});
    }
    bool finished = phase.record.ended && phase.cgroups_removed;
    if (finished && phase.abandoned) {
      records_.remove(at->first);
      at = phases_.erase(at);
      continue;
    }
    soon = soon || !finished;
    ++at;
  }
  return soon;
}

Task<> Phases::run(net::Stop& stop) {
  while (!stop.requested()) {
    bool soon = tend_all();
    co_await added_.wait_for(soon ? 250ms : 5000ms);
  }
}

std::optional<std::string> Phases::live_phase_of(const std::string& run) {
  tend_all();
  for (const auto& [name, phase] : phases_) {
    if (phase.record.run == run && !phase.record.ended) return name;
  }
  return std::nullopt;
}

std::size_t Phases::count(const std::string& run) const {
  auto of_run = [&run](const auto& entry) { return entry.second.record.run == run; };
  return static_cast<std::size_t>(std::count_if(phases_.begin(), phases_.end(), of_run));
}

void Phases::add(const PhaseRecord& record) {
  records_.save(record);
  Phase phase;
  phase.record = record;
  phases_.insert_or_assign(record.phase, std::move(phase));
  added_.notify();
}

void Phases::abandon(const std::string& name) {
  auto found = phases_.find(name);
  if (found == phases_.end()) return;
  Phase& phase = found->second;
  phase.abandoned = true;
  if (shim_alive(phase)) ::kill(phase.record.shim, SIGKILL);
  added_.notify();
}

void Phases::forget(const std::string& run, std::size_t keep) {
  std::vector<std::pair<std::uint64_t, std::string>> ended;
  for (const auto& [name, phase] : phases_) {
    if (phase.record.run == run && phase.record.ended) ended.emplace_back(phase.record.shim_start, name);
  }
  std::sort(ended.begin(), ended.end());
  for (std::size_t i = 0; i + keep < ended.size(); ++i) {
    stale_.push_back(phases_[ended[i].second].record.cgroups);
    records_.remove(ended[i].second);
    phases_.erase(ended[i].second);
  }
}

std::vector<PhaseInfo> Phases::list() {
  tend_all();
  std::vector<PhaseInfo> all;
  for (const auto& [name, phase] : phases_) {
    PhaseInfo info;
    info.phase = name;
    info.run = phase.record.run;
    info.shim = phase.record.shim;
    info.shim_alive = shim_alive(phase);
    info.processes = phase.record.ended ? 0 : processes(phase);
    info.ended = phase.record.ended;
    info.limits = limits(phase);
    all.push_back(std::move(info));
  }
  return all;
}

Task<> Phases::kill(std::string name) {
  auto found = phases_.find(name);
  if (found == phases_.end()) throw Error(Code::not_found, "There is no phase '" + name + "'.");
  net::Clock::time_point deadline = net::Clock::now() + 10s;
  while (found != phases_.end() && !found->second.record.ended && processes(found->second) > 0) {
    if (net::Clock::now() >= deadline)
      throw Error(Code::unavailable, "Processes of the phase '" + name + "' do not end.");
    kill_sandbox(found->second);
    co_await net::sleep_for(10ms);
    found = phases_.find(name);
  }
}

}  // namespace terrane::sandbox
