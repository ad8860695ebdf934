#include "shim/log_shipper.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "sandbox/descriptor.h"
#include "sealed/log.h"
#include "shim/durable.h"
#include "shim/run_files.h"

namespace terrane::shim {
namespace {

using namespace std::chrono_literals;

constexpr auto quick_collect = 3ms;  // nothing is under way: what comes in one burst goes together
constexpr auto busy_collect = 20ms;  // a request is under way, so waiting costs nothing
constexpr std::size_t request_limit = 1024 * 1024;
constexpr std::size_t record_size = sealed::record_limit;

sandbox::Descriptor open_append(const std::filesystem::path& path) {
  sandbox::Descriptor file(::open(path.c_str(), O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file) throw Error(Code::internal, "Making " + path.string() + " failed.");
  return file;
}

}  // namespace

struct LogShipper::Impl {
  Impl(net::Executor executor, JobApi& job_api, const Spool& of, const sealed::DataKey& key,
       std::uint64_t most)
      : api(job_api),
        spool(of),
        lease{of.meta().job, of.meta().lease},
        segment(of.meta().log_segment),
        sealer(key,
               {of.meta().log_object,
                std::string(sealed::log_kind),
                of.meta().workspace,
                {{"attempt", std::to_string(of.meta().attempt)}, {"run", of.meta().run}}},
               0),
        file(open_append(of.log_file())),
        limit(most),
        changed(executor),
        acknowledged_more(executor) {}

  void flush();
  void append(std::string_view bytes);
  void take(std::string_view text);
  static Task<> collect(std::shared_ptr<Impl> self);
  static Task<> ship(std::shared_ptr<Impl> self);
  Task<> ship_once();

  JobApi& api;
  Spool spool;
  Lease lease;
  int segment;
  sealed::LogSealer sealer;
  sandbox::Descriptor file;
  std::uint64_t limit;
  std::string buffer;   // text that is not sealed yet
  std::string backlog;  // sealed bytes that the disk did not take yet; bounded like the log
  bool disk_failed = false;
  std::uint64_t taken = 0;  // bytes of text so far
  bool dropping = false;
  bool at_line_start = true;
  std::uint64_t sealed_size = 0;
  std::uint64_t acknowledged = 0;
  bool shipping = false;
  bool closed = false;  // no text comes any more
  std::string end;      // the last record, sealed and not shown yet
  bool ended = false;   // destroyed or the lease is closed
  std::exception_ptr failure;
  net::Event changed;  // something to collect or to ship
  net::Event acknowledged_more;
};

void LogShipper::Impl::append(std::string_view bytes) {
  backlog += bytes;
  try {
    write_fully(file.get(), backlog, "the spooled log");
    sealed_size += backlog.size();
    backlog.clear();
  } catch (const Error& error) {
    // A full disk. A record is made once, so these bytes wait; what was written of them goes, or a reader
    // would find half a record.
    if (::ftruncate(file.get(), static_cast<off_t>(sealed_size)) != 0) throw;
    if (!std::exchange(disk_failed, true))
      log::error("the log cannot be spooled", {{"job", lease.job}, {"error", error.what()}});
  }
}

void LogShipper::Impl::flush() {
  std::string_view rest = buffer;
  while (!rest.empty()) {
    append(sealer.record(rest.substr(0, record_size)));
    rest.remove_prefix(std::min(rest.size(), record_size));
  }
  buffer.clear();
  if (!backlog.empty()) append({});
}

void LogShipper::Impl::take(std::string_view text) {
  if (text.empty()) return;
  buffer += text;
  taken += text.size();
  at_line_start = text.back() == '\n';
  if (buffer.size() >= record_size) flush();
  changed.notify();
}

Task<> LogShipper::Impl::collect(std::shared_ptr<Impl> self) {
  while (!self->ended) {
    if (self->buffer.empty()) {
      if (!self->backlog.empty()) self->flush();
      co_await self->changed.wait_for(self->backlog.empty() ? 10s : 1s);
      continue;
    }
    co_await net::sleep_for(self->shipping ? net::Clock::duration(busy_collect)
                                           : net::Clock::duration(quick_collect));
    self->flush();
    self->changed.notify();
  }
}

Task<> LogShipper::Impl::ship_once() {
  std::string bytes =
      read_at(file.get(), acknowledged, std::min<std::uint64_t>(request_limit, sealed_size - acknowledged),
              "the spooled log");
  LogAnswer answer = co_await api.append_log(lease, segment, acknowledged, std::move(bytes));
  // A size that is behind ours: the other side lost what it had not made durable, and gets it again.
  acknowledged = std::min(answer.size, sealed_size);
}

Task<> LogShipper::Impl::ship(std::shared_ptr<Impl> self) {
  try {
    while (!self->ended) {
      if (self->acknowledged >= self->sealed_size) {
        co_await self->changed.wait_for(10s);
        continue;
      }
      self->shipping = true;
      std::uint64_t before = self->acknowledged;
      std::function<Task<>()> attempt = [&self] { return self->ship_once(); };
      co_await persistently(attempt, [&self] { return self->ended; });
      self->shipping = false;
      self->acknowledged_more.notify();
      if (self->acknowledged <= before)
        co_await net::sleep_for(busy_collect);  // it lost something: no hurry to ask again
    }
  } catch (const Error& failure) {
    self->failure = std::current_exception();
    log::warn("the log is not taken any more", {{"job", self->lease.job}, {"error", failure.what()}});
  }
  self->ended = true;
  self->acknowledged_more.notify();
}

LogShipper::LogShipper(net::Executor executor, JobApi& api, const Spool& spool, const sealed::DataKey& key,
                       std::uint64_t limit)
    : impl_(std::make_shared<Impl>(executor, api, spool, key, limit)) {
  // The key may seal one segment once: what an earlier shim of this lease left (there is none) is never
  // continued.
  if (::ftruncate(impl_->file.get(), 0) != 0) throw Error(Code::internal, "Emptying the spooled log failed.");
  // Begun and marked in one: a log that has anything has its first mark.
  impl_->append(impl_->sealer.begin() + (impl_->segment == 1 ? impl_->sealer.record("\x02") : std::string()));
  net::spawn(executor, "log collector", Impl::collect(impl_));
  net::spawn(executor, "log shipper", Impl::ship(impl_));
}

LogShipper::~LogShipper() {
  impl_->ended = true;
  impl_->changed.notify();
}

void LogShipper::write(std::string_view text) {
  if (impl_->closed || impl_->dropping) return;
  // The marks of the log's begin and end are never the engine's to give.
  std::string cleaned;
  if (text.find_first_of("\x02\x03") != std::string_view::npos) {
    cleaned = text;
    std::replace_if(cleaned.begin(), cleaned.end(), [](char c) { return c == '\x02' || c == '\x03'; }, ' ');
    text = cleaned;
  }
  if (impl_->taken + text.size() <= impl_->limit) return impl_->take(text);
  impl_->dropping = true;
  impl_->take(text.substr(0, impl_->limit - impl_->taken));
  say("The log exceeds its limit of " + std::to_string(impl_->limit >> 20) +
      " MiB. The rest of the output is not kept; the run goes on.");
}

void LogShipper::say(std::string_view line) {
  if (impl_->closed) return;
  std::string text = impl_->at_line_start ? "" : "\n";
  impl_->take(text.append(line).append("\n"));
}

void LogShipper::close() {
  if (!impl_->closed) {
    impl_->flush();
    if (!impl_->backlog.empty()) throw Error(Code::internal, "The log cannot be spooled.");
    impl_->closed = true;
    impl_->end = impl_->sealer.record("\x03");
  }
  if (::fdatasync(impl_->file.get()) != 0) throw Error(Code::internal, "Syncing the spooled log failed.");
  write_durably(impl_->spool.log_end_file(), impl_->end);
  impl_->changed.notify();
}

Task<> LogShipper::finish() {
  if (!impl_->closed) throw Error(Code::internal, "The log is finished before it is closed.");
  impl_->append(std::exchange(impl_->end, {}));
  impl_->changed.notify();
  while (!co_await caught_up(10s)) {
    if (impl_->ended) break;
  }
  if (impl_->failure) std::rethrow_exception(impl_->failure);
}

void LogShipper::check() const {
  if (impl_->failure) std::rethrow_exception(impl_->failure);
}

Task<bool> LogShipper::caught_up(net::Clock::duration limit) {
  std::shared_ptr<Impl> self = impl_;
  net::Clock::time_point deadline = net::Clock::now() + limit;
  self->flush();
  self->changed.notify();
  auto all = [&self] { return self->acknowledged >= self->sealed_size && self->backlog.empty(); };
  while (!all() && !self->ended && net::Clock::now() < deadline)
    co_await self->acknowledged_more.wait_for(deadline - net::Clock::now());
  co_return all();
}

Task<> ship_segment(JobApi& api, Lease lease, int segment, std::filesystem::path file, std::uint64_t size,
                    std::function<bool()> give_up) {
  sandbox::Descriptor opened(::open(file.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
  if (!opened) throw Error(Code::internal, "Opening " + file.string() + " failed.");
  // An empty piece at the end asks how much is there.
  std::uint64_t position = size;
  bool asked = false;
  while (!asked || position < size) {
    std::string bytes = read_at(opened.get(), position,
                                std::min<std::uint64_t>(request_limit, size - position), "a spooled log");
    LogAnswer answer;
    std::function<Task<>()> attempt = [&]() -> Task<> {
      answer = co_await api.append_log(lease, segment, position, bytes);
    };
    co_await persistently(attempt, give_up);
    bool progress = !asked || answer.size > position;
    position = std::min(answer.size, size);
    asked = true;
    if (!progress) co_await net::sleep_for(busy_collect);
  }
}

}  // namespace terrane::shim
