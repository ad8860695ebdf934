#include "sandbox/shim_side.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <signal.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "sandbox/broker_client.h"
#include "sandbox/bwrap_arguments.h"
#include "sandbox/cgroup.h"
#include "sandbox/descriptor.h"
#include "sandbox/launch_protocol.h"
#include "sandbox/output_pump.h"
#include "sandbox/readable.h"

namespace terrane::sandbox {

using namespace std::chrono_literals;

namespace {

struct RunningCommand {
  explicit RunningCommand(net::Executor executor) : changed(std::move(executor)) {}
  enum class State { asked, started, failed, exited, lost } state = State::asked;
  std::int32_t value = 0;  // errno, or waitpid's status
  net::Event changed;
};

std::string payload_of(const Command& command) {
  std::string text;
  auto add = [&text](std::string_view part) {
    if (part.find('\0') != std::string_view::npos)
      throw Error(Code::unprocessable, "An argument or variable of a command holds a NUL byte.");
    text += part;
    text += '\0';
  };
  add(std::to_string(command.argv.size()));
  add(std::to_string(command.environment.size()));
  add(command.directory);
  for (const std::string& argument : command.argv) add(argument);
  for (const auto& [key, value] : command.environment) {
    if (key.empty() || key.find('=') != std::string::npos)
      throw Error(Code::unprocessable, "'" + key + "' is no name of a variable.");
    add(key + "=" + value);
  }
  if (text.size() > most_payload)
    throw Error(Code::unprocessable, "Arguments and environment of a command exceed 16 MiB.");
  return text;
}

}  // namespace

struct Sandbox::Impl {
  Impl(net::Executor ex, const ShimInheritance& given)
      : executor(ex),
        inheritance(given),
        control(fcntl(given.control, F_DUPFD_CLOEXEC, 3)),
        gone_event(ex),
        ready_event(ex) {
    // The inherited number goes too: while any copy is open, pid 1 believes that its shim lives.
    close(given.control);
  }

  void send_launch(const SandboxSpec& spec, int errors);
  static Task<> listen(std::shared_ptr<Impl> self);
  static Task<> wait_end(std::shared_ptr<Impl> self);
  static Task<> watch_storage(std::shared_ptr<Impl> self);
  static Task<> insist(std::shared_ptr<Impl> self);
  void take(const ControlMessage& message);
  void send(Verb verb, std::uint32_t id, std::int32_t value, std::span<const int> descriptors = {});
  void look_at_storage();
  Task<Exit> wait_command(std::shared_ptr<RunningCommand> running,
                          std::vector<std::shared_ptr<OutputPump>> pumps);

  net::Executor executor;
  ShimInheritance inheritance;
  Descriptor control;
  std::map<std::uint32_t, std::shared_ptr<RunningCommand>> commands;
  std::uint32_t last_id = 0;
  bool ready = false;
  bool gone = false;  // the launcher's process is reaped: nothing of the sandbox is left
  bool storage_full = false;
  net::Event gone_event;
  net::Event ready_event;
};

void Sandbox::Impl::send_launch(const SandboxSpec& spec, int errors) {
  BwrapInput input = bwrap_input(inheritance, spec);
  Descriptor arguments = make_memory_file(input.arguments);
  LaunchHeader header;
  header.data_files = static_cast<std::uint32_t>(input.data.size());
  header.trees = static_cast<std::uint32_t>(input.trees.size());
  header.grace = static_cast<std::uint32_t>(inheritance.grace.count());
  std::vector<int> descriptors = {errors, arguments.get()};
  for (const Descriptor& file : input.data) descriptors.push_back(file.get());
  for (const Descriptor& tree : input.trees) descriptors.push_back(tree.get());
  if (!send_message(control.get(), {reinterpret_cast<const char*>(&header), sizeof header}, descriptors)) {
    throw Error(Code::internal, "The sandbox's launcher is gone.");
  }
}

// Reads what pid 1 says until it is gone.
Task<> Sandbox::Impl::listen(std::shared_ptr<Impl> self) {
  for (;;) {
    co_await wait_readable(self->control.get());
    std::optional<Message> message = receive_message(self->control.get(), sizeof(ControlMessage), false);
    if (!message) {
      if (errno == EAGAIN) continue;
      break;
    }
    ControlMessage content;
    if (message->bytes.size() != sizeof content) continue;
    std::memcpy(&content, message->bytes.data(), sizeof content);
    if (content.version == protocol_version) self->take(content);
  }
  for (auto& [id, command] : self->commands) {
    command->state = RunningCommand::State::lost;
    command->changed.notify();
  }
  self->commands.clear();
}

void Sandbox::Impl::take(const ControlMessage& message) {
  if (message.verb == Verb::ready) {
    ready = true;
    ready_event.notify();
    return;
  }
  auto found = commands.find(message.id);
  if (found == commands.end()) return;
  std::shared_ptr<RunningCommand> command = found->second;
  command->value = message.value;
  if (message.verb == Verb::started) command->state = RunningCommand::State::started;
  if (message.verb == Verb::failed) command->state = RunningCommand::State::failed;
  if (message.verb == Verb::exited) command->state = RunningCommand::State::exited;
  if (command->state == RunningCommand::State::failed || command->state == RunningCommand::State::exited)
    commands.erase(found);
  command->changed.notify();
}

Task<> Sandbox::Impl::wait_end(std::shared_ptr<Impl> self) {
  Descriptor process(static_cast<int>(syscall(SYS_pidfd_open, self->inheritance.launcher, 0)));
  if (process) co_await wait_readable(process.get());
  waitpid(self->inheritance.launcher, nullptr, WNOHANG);
  self->gone = true;
  self->gone_event.notify();
  self->ready_event.notify();
}

void Sandbox::Impl::look_at_storage() {
  struct statvfs storage{};
  if (statvfs(inheritance.run_directory.c_str(), &storage) != 0) return;
  storage_full = storage_full || storage.f_bavail == 0 || storage.f_ffree == 0;
}

// A full directory is often emptied by those who failed in it, so it is looked at while they run.
Task<> Sandbox::Impl::watch_storage(std::shared_ptr<Impl> self) {
  while (!self->gone) {
    self->look_at_storage();
    co_await self->gone_event.wait_for(500ms);
  }
}

void Sandbox::Impl::send(Verb verb, std::uint32_t id, std::int32_t value, std::span<const int> descriptors) {
  ControlMessage message{protocol_version, verb, id, value};
  if (gone || !send_message(control.get(), {reinterpret_cast<const char*>(&message), sizeof message},
                            descriptors, false)) {
    throw Error(Code::unavailable, "The sandbox has ended.");
  }
}

Task<Sandbox> Sandbox::start(net::Executor executor, const ShimInheritance& inheritance, SandboxSpec spec) {
  auto impl = std::make_shared<Impl>(executor, inheritance);
  Pair errors = make_pipe();
  impl->send_launch(spec, errors.second.get());
  errors.second.reset();
  net::spawn(executor, "sandbox end", Impl::wait_end(impl));
  net::spawn(executor, "sandbox control", Impl::listen(impl));
  net::Clock::time_point deadline = net::Clock::now() + 20s;
  while (!impl->ready && !impl->gone && net::Clock::now() < deadline)
    co_await impl->ready_event.wait_for(deadline - net::Clock::now());
  if (impl->ready) {
    net::spawn(executor, "sandbox storage", Impl::watch_storage(impl));
    co_return Sandbox(impl);
  }
  std::string text(1000, '\0');
  fcntl(errors.first.get(), F_SETFL, O_NONBLOCK);
  ssize_t size = read(errors.first.get(), text.data(), text.size());
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  Sandbox(impl).kill_all();
  std::string reason = text.empty()
                           ? std::string(impl->gone ? "it ended without a word" : "it did not answer in time")
                           : std::string(trim(text));
  throw Error(Code::internal, "The sandbox could not be started: " + reason);
}

Task<Exit> Sandbox::exec(Command command) {
  std::shared_ptr<Impl> self = impl_;
  if (command.argv.empty() || !command.argv[0].starts_with('/')) {
    throw Error(Code::unprocessable, "A command needs the absolute path of a program.");
  }
  if (self->commands.size() >= most_commands)
    throw Error(Code::unprocessable, "Too many commands run in the sandbox.");
  Descriptor payload = make_memory_file(payload_of(command));
  Pair output = make_pipe();
  Pair errors = make_pipe();
  std::uint32_t id = ++self->last_id;
  int descriptors[] = {payload.get(), output.second.get(), errors.second.get(), output.first.get(),
                       errors.first.get()};
  self->send(Verb::exec, id, 0, descriptors);
  auto running = std::make_shared<RunningCommand>(self->executor);
  self->commands.emplace(id, running);
  output.second.reset();
  errors.second.reset();
  while (running->state == RunningCommand::State::asked) co_await running->changed.wait_for(10s);
  if (running->state == RunningCommand::State::failed) {
    throw Error(Code::unprocessable,
                "'" + command.argv[0] + "' cannot be started: " + std::strerror(running->value) + ".");
  }
  std::vector<std::shared_ptr<OutputPump>> pumps;
  pumps.push_back(
      OutputPump::start(self->executor, std::move(output.first), Stream::output, command.on_output));
  pumps.push_back(
      OutputPump::start(self->executor, std::move(errors.first), Stream::errors, command.on_output));
  co_return co_await self->wait_command(running, std::move(pumps));
}

Task<Exit> Sandbox::Impl::wait_command(std::shared_ptr<RunningCommand> running,
                                       std::vector<std::shared_ptr<OutputPump>> pumps) {
  while (running->state == RunningCommand::State::started) co_await running->changed.wait_for(10s);
  look_at_storage();
  // Something that left the command's group may hold the pipes for ever; what it writes later is nobody's.
  net::Clock::time_point deadline = net::Clock::now() + 1s;
  for (const std::shared_ptr<OutputPump>& pump : pumps) co_await pump->finish(deadline - net::Clock::now());
  Exit exit;
  exit.lost = running->state == RunningCommand::State::lost;
  if (exit.lost) co_return exit;
  if (WIFSIGNALED(running->value)) {
    exit.signal = WTERMSIG(running->value);
  } else {
    exit.code = WEXITSTATUS(running->value);
  }
  co_return exit;
}

void Sandbox::interrupt() { signal(SIGINT); }

void Sandbox::signal(int number) {
  try {
    impl_->send(Verb::signal, 0, number);
  } catch (const Error&) {
    // It has ended; whoever waits for it learns that there.
  }
}

void Sandbox::kill_all() {
  try {
    impl_->send(Verb::end, 0, 0);
  } catch (const Error&) {
    if (impl_->gone) return;
  }
  // A launcher that has not become bubblewrap yet ends when the connection does.
  if (!impl_->ready) shutdown(impl_->control.get(), SHUT_RDWR);
  net::spawn(impl_->executor, "sandbox end by the broker", Impl::insist(impl_));
}

Task<> Sandbox::Impl::insist(std::shared_ptr<Impl> self) {
  net::Clock::time_point deadline = net::Clock::now() + 2s;
  while (!self->gone && net::Clock::now() < deadline)
    co_await self->gone_event.wait_for(deadline - net::Clock::now());
  if (self->gone) co_return;
  log::warn("the sandbox does not end by itself", {{"phase", self->inheritance.phase}});
  BrokerClient broker(self->inheritance.broker_socket);
  co_await broker.kill(self->inheritance.phase);
}

Task<> Sandbox::ended() {
  std::shared_ptr<Impl> self = impl_;
  while (!self->gone) co_await self->gone_event.wait_for(10s);
}

bool Sandbox::running() const noexcept { return !impl_->gone; }

LimitsHit Sandbox::limits() {
  impl_->look_at_storage();
  LimitsHit hit = read_limits(impl_->inheritance.cgroups);
  hit.storage_full = impl_->storage_full;
  return hit;
}

}  // namespace terrane::sandbox
