#include "sandbox/launcher.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "net/io.h"
#include "sandbox/assignment.h"
#include "sandbox/launch_protocol.h"
#include "sandbox/readable.h"
#include "sandbox/shim_side.h"

namespace terrane::sandbox {

namespace fs = std::filesystem;

namespace {

constexpr const char* shim_oom_score = "-500";
constexpr const char* run_oom_score = "300";  // pid 1 keeps this; its commands get 500

void require(bool done, const char* step) {
  if (!done) fail(step);
}

// Moves descriptors to given numbers and closes all others above standard error. First away from every
// target, so that none is overwritten.
void arrange(const std::vector<std::pair<int, int>>& wanted) {
  std::vector<std::pair<int, int>> parked;
  int last = STDERR_FILENO;
  for (auto [from, to] : wanted) {
    last = std::max(last, to);
    if (from < 0) continue;
    int copy = fcntl(from, F_DUPFD_CLOEXEC, 400);
    require(copy >= 0, "dup of a descriptor");
    parked.emplace_back(copy, to);
  }
  require(close_range(3, 399, 0) == 0, "close_range");
  for (auto [copy, to] : parked) require(dup2(copy, to) == to, "dup2");
  require(close_range(static_cast<unsigned>(last) + 1, ~0u, 0) == 0, "close_range");
}

// Their numbers mean other files since `arrange`, so nothing may close them.
void forget(std::vector<Descriptor>& descriptors) {
  for (Descriptor& descriptor : descriptors) descriptor.release();
}

void reset_signals() {
  for (int number = 1; number < 32; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
}

void limit(int resource, rlim_t value) {
  rlimit both{value, value};
  require(setrlimit(static_cast<__rlimit_resource>(resource), &both) == 0, "setrlimit");
}

void join(const std::vector<fs::path>& cgroups) {
  for (const fs::path& cgroup : cgroups) require(write_to(cgroup / "cgroup.procs", "0"), "joining a cgroup");
}

[[noreturn]] void execute(const fs::path& program, const std::vector<std::string>& arguments,
                          const std::vector<std::string>& environment) {
  std::vector<char*> argv, envp;
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  for (const std::string& variable : environment) envp.push_back(const_cast<char*>(variable.c_str()));
  argv.push_back(nullptr);
  envp.push_back(nullptr);
  execve(program.c_str(), argv.data(), envp.data());
  fail("exec of " + program.string());
}

// Mounts what the shim gave as open directories and files at /tmp/0, /tmp/1, … of a mount namespace of our
// own. Only root can, and what the shim could open is all that it can show; the run's own permissions then
// apply to it as anywhere.
void show_trees(const std::vector<Descriptor>& descriptors, std::size_t first, const fs::path& runs_mount) {
  std::vector<Descriptor> trees;
  for (std::size_t i = first; i < descriptors.size(); ++i) {
    // Cloned before the namespace is made: a descriptor of the old one cannot be mounted in the new.
    trees.push_back(checked(static_cast<int>(syscall(SYS_open_tree, descriptors[i].get(), "",
                                                     AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC)),
                            "open_tree"));
  }
  require(unshare(CLONE_NEWNS) == 0, "unshare of mounts");
  require(mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0, "making mounts private");
  umount2(runs_mount.c_str(), MNT_DETACH);  // else this process would keep the run directories of others
  require(mount("terrane-trees", trees_directory, "tmpfs", MS_NOSUID | MS_NODEV, "size=1m,mode=0755") == 0,
          "mount of the trees' directory");
  for (std::size_t i = 0; i < trees.size(); ++i) {
    struct stat status{};
    require(fstat(trees[i].get(), &status) == 0, "fstat of a tree");
    fs::path target = fs::path(trees_directory) / std::to_string(i);
    bool made = S_ISDIR(status.st_mode) ? mkdir(target.c_str(), 0755) == 0
                                        : mknod(target.c_str(), S_IFREG | 0644, 0) == 0;
    require(made, "making a mount point");
    require(
        syscall(SYS_move_mount, trees[i].get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) == 0,
        "move_mount");
  }
}

// Waits, still as root, for the shim's word; then turns into bubblewrap under the run's uid.
void launch(const HoldPlan& plan, uid_t uid) {
  std::optional<Message> message = receive_message(control_number, sizeof(LaunchHeader));
  if (!message) _exit(0);  // the shim is gone before it started anything
  LaunchHeader header;
  if (message->bytes.size() != sizeof header)
    throw Error(Code::internal, "The shim's message has a wrong size.");
  std::memcpy(&header, message->bytes.data(), sizeof header);
  bool sane = header.version == protocol_version && header.data_files <= most_data_files &&
              header.trees <= most_trees &&
              message->descriptors.size() == 2 + header.data_files + header.trees;
  if (!sane) throw Error(Code::internal, "The shim's message is not understood.");
  std::vector<Descriptor>& given = message->descriptors;
  require(dup2(given[0].get(), STDERR_FILENO) >= 0 && dup2(given[0].get(), STDOUT_FILENO) >= 0, "dup2");

  show_trees(given, 2 + header.data_files, plan.runs_mount);
  // The keep descriptor stays where it is, or is not there.
  std::vector<std::pair<int, int>> wanted = {{control_number, control_number},
                                             {plan.keep < 0 ? -1 : keep_number, keep_number},
                                             {given[1].get(), arguments_number},
                                             {filter_number, filter_number}};
  for (std::uint32_t i = 0; i < header.data_files; ++i) {
    wanted.emplace_back(given[2 + i].get(), first_data_number + static_cast<int>(i));
  }
  arrange(wanted);
  forget(given);
  change_user(uid, uid, {});
  umask(0007);
  require(chdir("/") == 0, "chdir");
  // bubblewrap takes options from the file, but the program from its command line.
  execute(plan.bwrap,
          {"bwrap", "--args", std::to_string(arguments_number), "--", binary_inside, "sandbox-init",
           "--control", std::to_string(control_number), "--grace", std::to_string(header.grace)},
          {});
}

// A file of its own position: the filter's is shared by all launchers of the broker.
Descriptor reopen(int file) {
  return checked(open(("/proc/self/fd/" + std::to_string(file)).c_str(), O_RDONLY | O_CLOEXEC),
                 "opening the filter");
}

// The second process: everything that needs root and can be done before the shim knows what it wants.
[[noreturn]] void launcher_main(const HoldPlan& plan, int control, int link) {
  constexpr int link_number = filter_number + 1;
  uid_t uid = 0;
  try {
    require(setsid() > 0, "setsid");
    join(plan.run_cgroups);
    require(write_to("/proc/self/oom_score_adj", run_oom_score), "oom_score_adj");
    require(setns(plan.network, CLONE_NEWNET) == 0, "setns");
    Descriptor filter = reopen(plan.filter);
    arrange({{control, control_number},
             {plan.keep, keep_number},
             {filter.release(), filter_number},
             {link, link_number}});
    link = link_number;
    std::optional<Message> message = receive_message(link, sizeof(AssignmentMessage));
    if (!message) _exit(0);  // the broker is gone, or does not need these two
    AssignmentMessage assignment = parse_assignment(*message);
    limit(RLIMIT_CORE, 0);
    limit(RLIMIT_NOFILE, 4096);
    limit(RLIMIT_MEMLOCK, 64 << 10);
    limit(RLIMIT_MSGQUEUE, 0);
    if (assignment.weak_memory_bytes > 0) limit(RLIMIT_DATA, assignment.weak_memory_bytes);
    if (assignment.weak_processes > 0) limit(RLIMIT_NPROC, assignment.weak_processes);
    uid = assignment.run_uid;
    require(uid >= 1000, "a run needs a uid of its own");
    close(link);
  } catch (const std::exception& failure) {
    send_message(link, failure.what());
    _exit(125);
  }
  try {
    launch(plan, uid);
  } catch (const std::exception& failure) {
    // Standard error is the shim's by now, or the broker's log.
    dprintf(STDERR_FILENO, "sandbox launcher: %s\n", failure.what());
  }
  _exit(125);
}

// The shim's program is executed before its assignment comes, because that takes some 10 ms: it receives the
// assignment itself (shim_inheritance.cc) and is root until then.
[[noreturn]] void shim_main(const HoldPlan& plan, int link, int launcher_link) {
  try {
    // Nothing of the broker's input is the shim's; its log goes where the broker's goes.
    Descriptor nothing(open("/dev/null", O_RDONLY | O_CLOEXEC));
    require(dup2(nothing.get(), STDIN_FILENO) >= 0, "dup2");
    require(setsid() > 0, "setsid");
    reset_signals();
    join(plan.shim_cgroups);
    Pair control = make_socket_pair();
    pid_t launcher = fork();
    require(launcher >= 0, "fork");
    if (launcher == 0) launcher_main(plan, control.second.get(), launcher_link);

    write_to("/proc/self/oom_score_adj",
             shim_oom_score);  // refused in some containers; the shim lives outside the limit anyway
    limit(RLIMIT_CORE, 0);
    // Nothing of the broker's stays open meanwhile, its lock least of all.
    arrange({{link, held_link_number}, {control.first.release(), shim_control_number}});
    control.second.release();
    link = held_link_number;
    umask(0007);
    require(chdir("/") == 0, "chdir");
    std::vector<std::string> environment;
    environment.reserve(plan.environment.size() + 1);
    for (const auto& [key, value] : plan.environment) environment.push_back(key + "=" + value);
    environment.push_back(std::string(shim_launcher_variable) + "=" + std::to_string(launcher));
    execute(plan.binary, {plan.binary.string(), "shim"}, environment);
  } catch (const std::exception& failure) {
    send_message(link, failure.what());
  }
  _exit(125);
}

// Takes the text of a failure from a link, if one comes before its end.
Task<> read_failure(int link, std::string& failure) {
  co_await wait_readable(link);
  std::optional<Message> message = receive_message(link, 4096, false);
  // One that ended before it read its assignment resets the connection; its last words are still there.
  if (!message && errno == ECONNRESET) message = receive_message(link, 4096, false);
  if (message) failure = std::move(message->bytes);
}

}  // namespace

HeldShim hold_shim(const HoldPlan& plan) {
  Pair shim = make_socket_pair();
  Pair launcher = make_socket_pair();
  pid_t pid = fork();
  if (pid < 0) fail("fork");
  if (pid == 0) {
    shim.first.reset();
    launcher.first.reset();
    shim_main(plan, shim.second.get(), launcher.second.get());
  }
  return {pid, std::move(shim.first), std::move(launcher.first), plan.worker_uid, plan.worker_gid};
}

bool still_waits(const HeldShim& held) {
  for (const Descriptor* link : {&held.shim_link, &held.launcher_link}) {
    if (receive_message(link->get(), 4096, false) || errno != EAGAIN) return false;
  }
  return true;
}

Task<> assign(HeldShim& held, const Assignment& assignment) {
  AssignmentMessage message;
  message.weak_memory_bytes = assignment.weak_memory_bytes;
  message.weak_processes = assignment.weak_processes;
  message.run_uid = assignment.run_uid;
  message.worker_uid = held.worker_uid;
  message.worker_gid = held.worker_gid;
  message.has_job = assignment.job >= 0 ? 1 : 0;
  message.relays = static_cast<std::uint32_t>(assignment.relays.size());
  std::vector<int> descriptors = {assignment.description};
  if (assignment.job >= 0) descriptors.push_back(assignment.job);
  descriptors.insert(descriptors.end(), assignment.relays.begin(), assignment.relays.end());
  std::string_view bytes(reinterpret_cast<const char*>(&message), sizeof message);
  bool sent =
      send_message(held.launcher_link.get(), bytes) && send_message(held.shim_link.get(), bytes, descriptors);
  std::string failure;
  co_await net::with_deadline(std::chrono::seconds(5), "The shim",
                              read_failure(held.shim_link.get(), failure));
  if (failure.empty()) {
    co_await net::with_deadline(std::chrono::seconds(5), "The launcher",
                                read_failure(held.launcher_link.get(), failure));
  }
  if (!failure.empty()) throw Error(Code::internal, "The phase could not be started: " + failure);
  if (!sent) throw Error(Code::internal, "The phase could not be started: its processes are gone.");
}

}  // namespace terrane::sandbox
