#include "shim/context.h"

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "crypto/hash.h"
#include "shim/durable.h"
#include "shim/engine_files.h"
#include "shim/layout.h"

namespace terrane::shim {
namespace {

constexpr std::size_t collected_limit = 1024 * 1024;
constexpr std::size_t piece_size = 256 * 1024;

sealed::Identity identity_of(const Context& context, const worker_protocol::Slot& slot,
                             const std::string& kind) {
  return {slot.object, kind, context.job.workspace, {{"run", context.job.run}, {"time", iso8601(now())}}};
}

// Whether the run directory is full now, or was when the engine wrote this: then the room that was set aside
// for its state may have been given back since.
bool storage_is_full(const Context& context, std::string_view text) {
  constexpr std::uint64_t little = 64 * 1024;
  std::uint64_t room = context.files->room();
  bool said = text.find("o space left on device") != std::string_view::npos;
  return room < little || (said && room < little + static_cast<std::uint64_t>(context.job.disk_bytes) / 8);
}

}  // namespace

Context::Context(net::Executor ex, ShimOrder given, sandbox::ShimInheritance inherited)
    : executor(ex),
      order(std::move(given)),
      job(order.job),
      inheritance(std::move(inherited)),
      spool(Spool::open(inheritance.spool)),
      lease{job.id, job.lease},
      api(ex, order.api),
      files(std::make_shared<RunFiles>(inheritance.run_directory)),
      slots(ex, api, lease, job.slots),
      log(ex, api, spool, {job.log.key, job.log.wrapped}),
      ender(ex, inheritance.grace, [this](std::string_view line) { log.say(line); }),
      pulse(ex, api, lease, job.grace, ender) {}

void Context::check() const {
  if (ender.ending()) throw EndedEarly();
}

std::function<bool()> Context::give_up() const {
  return [this] { return ender.ending(); };
}

Task<sandbox::Exit> run_engine(Context& context, std::vector<std::string> arguments, OnOutput on_output,
                               std::string_view config) {
  context.check();
  sandbox::Command command;
  command.argv.push_back(std::string(engine_inside) + "/" + context.order.engine.filename().string());
  for (std::string& argument : arguments) command.argv.push_back(std::move(argument));
  command.environment = engine_environment(context.job, config.empty() ? cli_config_inside : config,
                                           !context.order.platform.ca_pem.empty());
  if (command.argv[1] == "init") spare_collection(context.job, command.environment);
  command.directory = inside(working_directory_of(context.job));
  command.on_output = std::move(on_output);
  co_return co_await context.sandbox->exec(std::move(command));
}

void check_killed(const sandbox::Exit& exit) {
  if (exit.lost) throw EngineKilled("The sandbox ended before the engine.");
  if (exit.signal != 0)
    throw EngineKilled("The engine was ended by signal " + std::to_string(exit.signal) + ".");
}

OnOutput to_log(Context& context) {
  return [&context](sandbox::Stream, std::string_view text) -> Task<> {
    context.log.write(text);
    context.storage_full = context.storage_full || storage_is_full(context, text);
    co_return;
  };
}

OnOutput into(std::string& text) {
  return [&text](sandbox::Stream, std::string_view more) -> Task<> {
    text += more;
    if (text.size() > collected_limit) text.erase(0, text.size() - collected_limit);
    co_return;
  };
}

Task<SpooledObject> seal_file(Context& context, std::string name, std::string kind) {
  worker_protocol::Slot slot = co_await context.slots.wait();
  std::optional<sandbox::Descriptor> file = context.files->open(name);
  if (!file) throw Error(Code::invalid, "The engine left no " + kind + " file.");
  SpooledObject spooled = context.spool.next_object(slot.object, kind);
  co_await net::blocking([&] {
    SealedFile sealed(spooled.file, {slot.key, slot.wrapped}, identity_of(context, slot, kind));
    std::uint64_t position = 0;
    while (true) {
      std::string piece = read_at(file->get(), position, piece_size, name);
      if (piece.empty()) break;
      sealed.write(piece);
      position += piece.size();
    }
    sealed.commit();
    context.spool.add_object(spooled);
  });
  co_return spooled;
}

Task<SpooledObject> seal_output(Context& context, std::vector<std::string> arguments, std::string kind,
                                std::function<void(std::string_view)> feed, std::function<void()> executed) {
  worker_protocol::Slot slot = co_await context.slots.wait();
  SpooledObject spooled = context.spool.next_object(slot.object, kind);
  SealedFile sealed(spooled.file, {slot.key, slot.wrapped}, identity_of(context, slot, kind));
  std::string errors;
  bool whole = true;
  OnOutput on_output = [&](sandbox::Stream stream, std::string_view text) -> Task<> {
    if (stream == sandbox::Stream::output) {
      whole = false;  // an exception ends this callback for good, and not the command
      sealed.write(text);
      whole = true;
      if (feed) feed(text);
    } else if (errors.size() < collected_limit) {
      errors += text;
    }
    co_return;
  };
  std::string command = arguments.front();
  sandbox::Exit exit = co_await run_engine(context, std::move(arguments), on_output);
  context.check();
  check_killed(exit);
  if (!exit.success())
    throw Error(Code::invalid, "The engine's " + command + " failed: " + std::string(trim(errors)));
  if (!whole) throw Error(Code::internal, "The engine's output could not be spooled.");
  executed();
  co_await net::blocking([&] {
    sealed.commit();
    context.spool.add_object(spooled);
  });
  co_return spooled;
}

Task<> upload(Context& context, SpooledObject spooled) {
  std::function<Task<>()> attempt = [&] {
    return context.api.put_object(context.lease, spooled.object, spooled.kind, spooled.file);
  };
  co_await persistently(attempt);
  context.spool.drop(spooled);
}

Task<> insist(Context& context, std::string what, std::function<Task<>()> step) {
  for (int attempt = 0;; ++attempt) {
    try {
      co_await step();
      co_return;
    } catch (const Error& failure) {
      if (failure.code() != Code::internal || context.ender.cause() == Cause::lease_closed) throw;
      // Once in half a minute: operators watch errors.
      if (attempt % 30 == 0)
        log::error(what + " cannot be spooled; trying on",
                   {{"job", context.job.id}, {"error", failure.what()}});
    }
    co_await net::sleep_for(std::chrono::seconds(1));
  }
}

Task<std::string> hash_of(Context& context, std::string name) {
  std::optional<sandbox::Descriptor> file = context.files->open(name);
  if (!file) co_return std::string();
  co_return co_await net::blocking_result<std::string>([&] {
    crypto::Hasher hasher(crypto::HashKind::sha256);
    std::uint64_t position = 0;
    while (true) {
      std::string piece = read_at(file->get(), position, piece_size, name);
      if (piece.empty()) return hex(hasher.finish());
      hasher.update(piece);
      position += piece.size();
    }
  });
}

}  // namespace terrane::shim
