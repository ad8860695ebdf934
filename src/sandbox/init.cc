#include "sandbox/init.h"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fcntl.h>
#include <linux/close_range.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/secret.h"
#include "base/text.h"
#include "sandbox/descriptor.h"
#include "sandbox/launch_protocol.h"

namespace terrane::sandbox {

namespace {

using Moment = std::chrono::steady_clock::time_point;

constexpr const char* own_oom_score = "300";
constexpr const char* command_oom_score =
    "500";  // the kernel takes a command before pid 1, with which all would end

// What `exec` asks for; the pointers lead into `text`.
struct Program {
  std::string text;
  const char* directory = nullptr;
  std::vector<char*> argv;
  std::vector<char*> environment;
};

std::optional<std::string> read_payload(int file) {
  struct stat status{};
  if (fstat(file, &status) != 0 || status.st_size <= 0 ||
      static_cast<std::size_t>(status.st_size) > most_payload)
    return std::nullopt;
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t done = 0;
  while (done < text.size()) {
    ssize_t size = pread(file, text.data() + done, text.size() - done, static_cast<off_t>(done));
    if (size <= 0) return std::nullopt;
    done += static_cast<std::size_t>(size);
  }
  return text;
}

// False when the payload is not what launch_protocol.h says.
bool parse_program(Program& program) {
  std::vector<char*> texts;
  for (std::size_t at = 0; at < program.text.size();) {
    std::size_t end = program.text.find('\0', at);
    if (end == std::string::npos) return false;
    texts.push_back(program.text.data() + at);
    at = end + 1;
  }
  if (texts.size() < 4) return false;
  std::optional<std::int64_t> arguments = parse_int(texts[0]);
  std::optional<std::int64_t> variables = parse_int(texts[1]);
  auto rest = static_cast<std::int64_t>(texts.size() - 3);
  if (!arguments || !variables || *arguments < 1 || *variables < 0 || *arguments > rest ||
      *variables != rest - *arguments)
    return false;
  program.directory = texts[2];
  program.argv.assign(texts.begin() + 3, texts.begin() + 3 + *arguments);
  program.environment.assign(texts.begin() + 3 + *arguments, texts.end());
  program.argv.push_back(nullptr);
  program.environment.push_back(nullptr);
  return true;
}

// In the forked child. Returns only on failure, with errno.
void become_command(const Program& program, int output, int errors) {
  for (int number = 1; number < 32; ++number) signal(number, SIG_DFL);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  if (setpgid(0, 0) != 0) return;
  int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
      dup2(errors, STDERR_FILENO) < 0)
    return;
  if (chdir(program.directory) != 0) return;
  execve(program.argv[0], program.argv.data(), program.environment.data());
}

class Init {
 public:
  Init(int control, std::chrono::seconds grace) : control_(control), grace_(grace) {}

  int run() {
    prepare();
    report(Verb::ready, 0, static_cast<std::int32_t>(protocol_version));
    while (!done()) step();
    kill(-1, SIGKILL);
    return 0;
  }

 private:
  struct Command {
    std::uint32_t id;
    pid_t pid;
    // Kept so that the command's output has a reader even when the shim is gone: an engine must not die by
    // SIGPIPE in its grace.
    Descriptor output;
    Descriptor errors;
  };

  void prepare() {
    oom_score_ = Descriptor(open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC));
    prctl(PR_SET_DUMPABLE, 0);  // nobody inside looks into this process, though they have its uid
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    umask(0007);
    for (int number : {SIGPIPE, SIGTERM, SIGINT, SIGHUP, SIGQUIT}) signal(number, SIG_IGN);
    sigset_t children;
    sigemptyset(&children);
    sigaddset(&children, SIGCHLD);
    sigprocmask(SIG_BLOCK, &children, nullptr);
    children_ = Descriptor(signalfd(-1, &children, SFD_NONBLOCK | SFD_CLOEXEC));
  }

  bool orphaned() const { return !control_; }
  bool done() const {
    return ending_ || (orphaned() && (commands_.empty() || std::chrono::steady_clock::now() >= deadline_));
  }

  void report(Verb verb, std::uint32_t id, std::int32_t value) {
    ControlMessage message{protocol_version, verb, id, value};
    if (!orphaned()) send_message(control_.get(), {reinterpret_cast<const char*>(&message), sizeof message});
  }

  void step() {
    std::vector<pollfd> watched = {{children_.get(), POLLIN, 0}};
    if (!orphaned()) watched.push_back({control_.get(), POLLIN, 0});
    int limit = -1;
    if (orphaned()) {
      for (const Command& command : commands_) {
        watched.push_back({command.output.get(), POLLIN, 0});  // poll skips the ones that are closed (-1)
        watched.push_back({command.errors.get(), POLLIN, 0});
      }
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline_ - std::chrono::steady_clock::now());
      limit = static_cast<int>(std::max<std::int64_t>(left.count(), 0));
    }
    if (poll(watched.data(), watched.size(), limit) < 0) return;
    if (watched[0].revents != 0) reap();
    if (orphaned()) {
      drain_all();
    } else if (watched[1].revents != 0) {
      obey();
    }
  }

  void reap() {
    signalfd_siginfo ignored;
    while (read(children_.get(), &ignored, sizeof ignored) > 0) continue;
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
      auto ended =
          std::find_if(commands_.begin(), commands_.end(), [pid](const Command& c) { return c.pid == pid; });
      if (ended == commands_.end()) continue;
      kill(-pid, SIGKILL);  // what it left in its group
      std::uint32_t id = ended->id;
      commands_.erase(ended);
      report(Verb::exited, id, status);
    }
  }

  void obey() {
    std::optional<Message> message = receive_message(control_.get(), sizeof(ControlMessage), false);
    if (!message) {
      if (errno != EAGAIN) lose_shim();
      return;
    }
    ControlMessage order;
    if (message->bytes.size() != sizeof order) return;
    std::memcpy(&order, message->bytes.data(), sizeof order);
    if (order.version != protocol_version) return;
    switch (order.verb) {
      case Verb::exec: start(order.id, *message); break;
      case Verb::signal: signal_commands(order.id, order.value); break;
      case Verb::end: ending_ = true; break;
      case Verb::ready:
      case Verb::started:
      case Verb::failed:
      case Verb::exited: break;
    }
  }

  void start(std::uint32_t id, Message& message) {
    Program program;
    if (message.descriptors.size() != 5 || commands_.size() >= most_commands)
      return report(Verb::failed, id, EINVAL);
    std::optional<std::string> payload = read_payload(message.descriptors[0].get());
    if (!payload) return report(Verb::failed, id, EINVAL);
    program.text = std::move(*payload);
    if (!parse_program(program)) {
      wipe(program.text);
      return report(Verb::failed, id, EINVAL);
    }
    int error = 0;
    pid_t pid = fork_command(program, message.descriptors[1].get(), message.descriptors[2].get(), error);
    wipe(program.text);
    if (pid < 0) return report(Verb::failed, id, error);
    commands_.push_back({id, pid, std::move(message.descriptors[3]), std::move(message.descriptors[4])});
    report(Verb::started, id, pid);
  }

  // Returns -1 with the reason when the program cannot be started.
  pid_t fork_command(const Program& program, int output, int errors, int& error) {
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) return error = errno, -1;
    Descriptor result(ends[0]);
    Descriptor reason(ends[1]);
    set_oom_score(command_oom_score);
    pid_t pid = fork();
    if (pid == 0) {
      become_command(program, output, errors);
      int failure = errno;
      while (write(reason.get(), &failure, sizeof failure) < 0 && errno == EINTR) continue;
      _exit(127);
    }
    error = errno;
    set_oom_score(own_oom_score);
    if (pid < 0) return -1;
    reason.reset();
    ssize_t size;
    while ((size = read(result.get(), &error, sizeof error)) < 0 && errno == EINTR) continue;
    if (size <= 0) return pid;
    waitpid(pid, nullptr, 0);
    return -1;
  }

  // Through a descriptor from the time when this process was dumpable; a child has the score of its parent's
  // moment of fork.
  void set_oom_score(const char* score) {
    if (oom_score_ && pwrite(oom_score_.get(), score, std::strlen(score), 0) < 0) return;
  }

  void signal_commands(std::uint32_t id, int number) {
    if (number < 1 || number > 31) return;
    for (const Command& command : commands_) {
      if (id == 0 || command.id == id) kill(-command.pid, number);
    }
  }

  void lose_shim() {
    control_.reset();
    deadline_ = std::chrono::steady_clock::now() + grace_;
    for (const Command& command : commands_) {
      for (int file : {command.output.get(), command.errors.get()}) {
        if (file >= 0) fcntl(file, F_SETFL, fcntl(file, F_GETFL) | O_NONBLOCK);
      }
    }
    signal_commands(0, SIGINT);
  }

  void drain_all() {
    for (Command& command : commands_) {
      drain(command.output);
      drain(command.errors);
    }
  }

  // Takes what is there, to nowhere, and at most 1 MiB, so that a flood does not keep this process from its
  // deadline.
  void drain(Descriptor& pipe) {
    char buffer[65536];
    for (int round = 0; pipe && round < 16; ++round) {
      ssize_t size = read(pipe.get(), buffer, sizeof buffer);
      if (size > 0) continue;
      if (size == 0 || errno != EAGAIN) pipe.reset();
      return;
    }
  }

  Descriptor control_;
  std::chrono::seconds grace_;
  Descriptor children_;
  Descriptor oom_score_;
  std::vector<Command> commands_;
  Moment deadline_;
  bool ending_ = false;
};

}  // namespace

int sandbox_init_main(int argc, char** argv) {
  std::optional<std::int64_t> control, grace;
  for (int i = 1; i + 1 < argc; ++i) {
    std::string_view option = argv[i];
    if (option == "--control") control = parse_int(argv[i + 1]);
    if (option == "--grace") grace = parse_int(argv[i + 1]);
  }
  if (!control || *control < 3 || *control > 1023 || !grace || *grace < 0 || *grace > 3600) {
    dprintf(STDERR_FILENO, "usage: sandbox-init --control DESCRIPTOR --grace SECONDS\n");
    return 2;
  }
  return Init(static_cast<int>(*control), std::chrono::seconds(*grace)).run();
}

}  // namespace terrane::sandbox
