#include "sandbox/cgroup.h"

#include <cerrno>
#include <cmath>
#include <cstring>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "sandbox/descriptor.h"

namespace terrane::sandbox {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t cpu_period_us = 100000;

// All runs of an installation together weigh as much as eight of the host's other processes, or eight groups
// of them: without that the kernel would give them all the share of one.
constexpr const char* shares_of_all_runs = "8192";  // version 1, where one has 1024
constexpr const char* weight_of_all_runs = "800";   // version 2, where one has 100

bool make_directory(const fs::path& path) { return mkdir(path.c_str(), 0755) == 0 || errno == EEXIST; }

void write_limit(const fs::path& directory, const char* file, const std::string& value) {
  if (!write_to(directory / file, value)) fail("Writing " + value + " to " + (directory / file).string());
}

// The number after `key` in a file of lines `key number`, or the only number of the file when the key is
// empty.
std::uint64_t number_in(const fs::path& file, std::string_view key) {
  std::optional<std::string> text = read_small_file(file);
  if (!text) return 0;
  for (std::string_view line : split(*text, '\n')) {
    std::string_view rest = line;
    if (!key.empty()) {
      if (!line.starts_with(key) || line.size() <= key.size() || line[key.size()] != ' ') continue;
      rest = line.substr(key.size() + 1);
    }
    std::optional<std::int64_t> value = parse_int(trim(rest));
    return value && *value > 0 ? static_cast<std::uint64_t>(*value) : 0;
  }
  return 0;
}

void limit_version_1(const Hierarchy& hierarchy, const fs::path& run, const CgroupLimits& limits) {
  if (hierarchy.memory && limits.memory_bytes > 0) {
    std::string bytes = std::to_string(limits.memory_bytes);
    write_limit(run, "memory.limit_in_bytes", bytes);
    if (access((run / "memory.memsw.limit_in_bytes").c_str(), F_OK) == 0)
      write_limit(run, "memory.memsw.limit_in_bytes", bytes);
  }
  if (hierarchy.cpu && limits.cpus > 0) {
    write_limit(run, "cpu.cfs_period_us", std::to_string(cpu_period_us));
    write_limit(run, "cpu.cfs_quota_us", std::to_string(std::llround(limits.cpus * cpu_period_us)));
  }
  if (hierarchy.pids && limits.processes > 0) write_limit(run, "pids.max", std::to_string(limits.processes));
}

void limit_version_2(const Hierarchy& hierarchy, const fs::path& run, const CgroupLimits& limits) {
  if (hierarchy.memory && limits.memory_bytes > 0) {
    write_limit(run, "memory.max", std::to_string(limits.memory_bytes));
    if (access((run / "memory.swap.max").c_str(), F_OK) == 0) write_limit(run, "memory.swap.max", "0");
  }
  if (hierarchy.cpu && limits.cpus > 0) {
    write_limit(
        run, "cpu.max",
        std::to_string(std::llround(limits.cpus * cpu_period_us)) + " " + std::to_string(cpu_period_us));
  }
  if (hierarchy.pids && limits.processes > 0) write_limit(run, "pids.max", std::to_string(limits.processes));
}

// Lets the children of `directory` have the wanted controllers of version 2.
bool pass_on(const fs::path& directory, const Hierarchy& hierarchy) {
  std::string wanted;
  if (hierarchy.memory) wanted += "+memory ";
  if (hierarchy.cpu) wanted += "+cpu ";
  if (hierarchy.pids) wanted += "+pids ";
  return wanted.empty() || write_to(directory / "cgroup.subtree_control", wanted);
}

// In a container the top of the hierarchy is an ordinary cgroup with processes in it, and those must leave
// before controllers can be passed on.
void move_processes_aside(const fs::path& top) {
  fs::path aside = top / "terrane-host";
  if (!make_directory(aside)) return;
  std::optional<std::string> processes = read_small_file(top / "cgroup.procs");
  if (!processes) return;
  for (std::string_view pid : split(*processes, '\n')) {
    if (!pid.empty()) write_to(aside / "cgroup.procs", pid);
  }
}

}  // namespace

std::vector<Hierarchy> parse_cgroup_mounts(std::string_view mounts) {
  std::vector<Hierarchy> found;
  for (std::string_view line : split(mounts, '\n')) {
    std::vector<std::string_view> fields = split(line, ' ');
    if (fields.size() < 4 || (fields[2] != "cgroup" && fields[2] != "cgroup2")) continue;
    Hierarchy hierarchy;
    hierarchy.mount = fs::path(std::string(fields[1]));
    hierarchy.unified = fields[2] == "cgroup2";
    bool writable = true;
    for (std::string_view option : split(fields[3], ',')) {
      if (option == "ro") writable = false;
      if (hierarchy.unified) continue;
      if (option == "memory") hierarchy.memory = true;
      if (option == "cpu") hierarchy.cpu = true;
      if (option == "pids") hierarchy.pids = true;
    }
    if (writable && (hierarchy.unified || hierarchy.memory || hierarchy.cpu || hierarchy.pids))
      found.push_back(std::move(hierarchy));
  }
  return found;
}

Cgroups::Cgroups(std::string installation) : installation_(std::move(installation)) {
  std::vector<Hierarchy> candidates = parse_cgroup_mounts(read_small_file("/proc/self/mounts").value_or(""));
  bool memory = false, cpu = false, pids = false;
  for (Hierarchy& hierarchy : candidates) {
    prepare(hierarchy);
    memory = memory || hierarchy.memory;
    cpu = cpu || hierarchy.cpu;
    pids = pids || hierarchy.pids;
    std::error_code ignored;
    if (fs::is_directory(base(hierarchy), ignored)) hierarchies_.push_back(hierarchy);
  }
  if (!memory) why_not_ += " memory";
  if (!cpu) why_not_ += " cpu";
  if (!pids) why_not_ += " pids";
  if (!why_not_.empty()) why_not_ = "No writable cgroup controller:" + why_not_ + ".";
}

// Makes our part of one hierarchy and drops the controllers that cannot be used there.
void Cgroups::prepare(Hierarchy& hierarchy) {
  fs::path ours = hierarchy.mount / "terrane";
  if (hierarchy.unified) {
    std::string available = " " + read_small_file(hierarchy.mount / "cgroup.controllers").value_or("");
    for (char& c : available) c = c == '\n' ? ' ' : c;
    available += ' ';
    hierarchy.memory = available.find(" memory ") != std::string::npos;
    hierarchy.cpu = available.find(" cpu ") != std::string::npos;
    hierarchy.pids = available.find(" pids ") != std::string::npos;
    if (!pass_on(hierarchy.mount, hierarchy)) {
      if (errno == EBUSY) move_processes_aside(hierarchy.mount);
      if (!pass_on(hierarchy.mount, hierarchy)) hierarchy.memory = hierarchy.cpu = hierarchy.pids = false;
    }
  }
  bool made = make_directory(ours) && (!hierarchy.unified || pass_on(ours, hierarchy)) &&
              make_directory(base(hierarchy)) &&
              (!hierarchy.unified || pass_on(base(hierarchy), hierarchy)) &&
              access((base(hierarchy) / "cgroup.procs").c_str(), W_OK) == 0;
  if (!made) hierarchy.memory = hierarchy.cpu = hierarchy.pids = false;
  if (!hierarchy.cpu) return;
  for (const fs::path& directory : {ours, base(hierarchy)}) {
    const bool weighs = hierarchy.unified ? write_to(directory / "cpu.weight", weight_of_all_runs)
                                          : write_to(directory / "cpu.shares", shares_of_all_runs);
    if (!weighs) log::warn("the weight of runs stays as it was", {{"cgroup", directory.string()}});
  }
}

fs::path Cgroups::base(const Hierarchy& hierarchy) const {
  return hierarchy.mount / "terrane" / installation_;
}

PhaseCgroups Cgroups::of(std::string_view name) const {
  PhaseCgroups cgroups;
  for (const Hierarchy& hierarchy : hierarchies_) {
    fs::path top = base(hierarchy) / std::string(name);
    cgroups.shim.push_back(top / "shim");
    cgroups.run.push_back(top / "run");
    cgroups.phase.push_back(std::move(top));
  }
  return cgroups;
}

PhaseCgroups Cgroups::create(std::string_view name) const {
  PhaseCgroups cgroups = of(name);
  for (std::size_t i = 0; i < hierarchies_.size(); ++i) {
    if (!make_directory(cgroups.phase[i])) fail("Making the cgroup " + cgroups.phase[i].string());
    if (hierarchies_[i].unified && !pass_on(cgroups.phase[i], hierarchies_[i])) {
      fail("Passing controllers to " + cgroups.phase[i].string());
    }
    if (!make_directory(cgroups.shim[i])) fail("Making the cgroup " + cgroups.shim[i].string());
    if (!make_directory(cgroups.run[i])) fail("Making the cgroup " + cgroups.run[i].string());
  }
  return cgroups;
}

void Cgroups::limit(const PhaseCgroups& cgroups, const CgroupLimits& limits) const {
  for (std::size_t i = 0; i < hierarchies_.size(); ++i) {
    if (hierarchies_[i].unified) {
      limit_version_2(hierarchies_[i], cgroups.run[i], limits);
    } else {
      limit_version_1(hierarchies_[i], cgroups.run[i], limits);
    }
  }
}

bool Cgroups::remove(const PhaseCgroups& cgroups) const {
  bool gone = true;
  for (const std::vector<fs::path>* level : {&cgroups.run, &cgroups.shim, &cgroups.phase}) {
    for (const fs::path& directory : *level) {
      if (rmdir(directory.c_str()) != 0 && errno != ENOENT) gone = false;
    }
  }
  return gone;
}

std::vector<std::string> Cgroups::names() const {
  std::set<std::string> found;
  for (const Hierarchy& hierarchy : hierarchies_) {
    std::error_code ignored;
    for (const fs::directory_entry& entry : fs::directory_iterator(base(hierarchy), ignored)) {
      if (entry.is_directory(ignored)) found.insert(entry.path().filename().string());
    }
  }
  return {found.begin(), found.end()};
}

std::uint32_t count_processes(std::span<const fs::path> cgroups) {
  std::size_t most = 0;
  for (const fs::path& directory : cgroups) {
    std::string processes = read_small_file(directory / "cgroup.procs").value_or("");
    most = std::max(most, static_cast<std::size_t>(std::count(processes.begin(), processes.end(), '\n')));
  }
  return static_cast<std::uint32_t>(most);
}

void kill_processes(std::span<const fs::path> cgroups) {
  for (const fs::path& directory : cgroups) {
    if (write_to(directory / "cgroup.kill", "1")) return;
  }
  for (const fs::path& directory : cgroups) {
    std::string processes = read_small_file(directory / "cgroup.procs").value_or("");
    for (std::string_view pid : split(processes, '\n')) {
      std::optional<std::int64_t> number = parse_int(pid);
      if (number && *number > 1) kill(static_cast<pid_t>(*number), SIGKILL);
    }
  }
}

LimitsHit read_limits(std::span<const fs::path> cgroups) {
  LimitsHit hit;
  for (const fs::path& directory : cgroups) {
    hit.memory_kills += number_in(directory / "memory.oom_control", "oom_kill") +
                        number_in(directory / "memory.events", "oom_kill");
    hit.memory_peak +=
        number_in(directory / "memory.max_usage_in_bytes", "") + number_in(directory / "memory.peak", "");
    hit.refused_processes += number_in(directory / "pids.events", "max");
    hit.throttled_us += number_in(directory / "cpu.stat", "throttled_time") / 1000;
    if (access((directory / "cpu.cfs_quota_us").c_str(), F_OK) != 0)
      hit.throttled_us += number_in(directory / "cpu.stat", "throttled_usec");
  }
  return hit;
}

}  // namespace terrane::sandbox
