#include "services/state_parser.h"

#include "base/log.h"
#include "outbox/outbox.h"
#include "services/state_document.h"
#include "state/state.h"

namespace terrane::services {
namespace {

constexpr std::size_t at_once = 4;  // a large state holds up small ones only when there are four
constexpr std::uint16_t messages_at_once = 32;
constexpr std::size_t piece_size = 64 * 1024;
constexpr net::Clock::duration failed_pause = std::chrono::seconds(1);
constexpr auto longest_pause = std::chrono::seconds(60);
// A state that is there but cannot be read or stored for a reason of its own is given up after so many
// attempts, which takes minutes: its workspace must not wait for ever, nor the queue behind it.
constexpr int attempts_limit = 8;

}  // namespace

StateParser::StateParser(Needs needs) : needs_(std::move(needs)), event_(needs_.executor) {}

void StateParser::wake() {
  woken_ = true;
  event_.notify();
}

Task<> StateParser::run(net::Stop& stop) {
  std::optional<amqp::Consumer> consumer;
  if (needs_.messages) {
    consumer.emplace(
        needs_.executor, *needs_.messages, std::string(outbox::services_queue), messages_at_once,
        [this](amqp::Delivery delivery) {
          messages_.push_back(std::move(delivery.ack));
          wake();
        },
        [this] { wake(); });
  }
  watching_ = true;
  net::spawn(needs_.executor, "state parser's stop", watch(stop));
  while (!stop.requested()) {
    woken_ = false;
    std::vector<std::function<void()>> heard = std::exchange(messages_, {});
    Look found = co_await look();
    if (found == Look::done) {
      for (const std::function<void()>& acknowledge : heard) acknowledge();
    } else {
      // Not before what they may have meant is done: then a message that is lost with us comes again.
      messages_.insert(messages_.begin(), heard.begin(), heard.end());
    }
    if (woken_ || stop.requested()) continue;
    co_await event_.wait_for(found == Look::failed ? std::min(pause(), failed_pause) : pause());
  }
  // Both use this object.
  while (watching_ || !parsing_.empty()) co_await event_.wait_for(std::chrono::seconds(1));
}

/// The stop must end a wait for other things too.
Task<> StateParser::watch(net::Stop& stop) {
  while (!co_await stop.wait_for(std::chrono::hours(1))) continue;
  watching_ = false;
  wake();
}

/// How long to wait for a message at most.
net::Clock::duration StateParser::pause() const {
  net::Clock::duration pause = needs_.look_interval.value_or(std::chrono::milliseconds(longest_pause));
  // What failed is tried again whether messages come or not.
  for (const auto& [id, trouble] : troubles_) pause = std::min(pause, trouble.next - net::Clock::now());
  return std::max<net::Clock::duration>(pause, std::chrono::milliseconds(10));
}

/// Begins to parse what waits. It is done when nothing does but what is to be tried later, and failed when
/// the database could not be asked.
Task<StateParser::Look> StateParser::look() {
  std::vector<std::pair<std::string, std::string>> waiting;
  try {
    waiting = co_await state::unparsed(needs_.database);
  } catch (const Error& error) {
    log::warn("the state parser cannot look", {{"error", error.what()}});
    co_return Look::failed;
  }
  std::erase_if(troubles_, [&](const auto& known) {
    return std::ranges::none_of(waiting, [&](const auto& row) { return row.first == known.first; });
  });
  Look found = parsing_.empty() ? Look::done : Look::busy;
  for (const auto& [id, object] : waiting) {
    auto trouble = troubles_.find(id);
    bool later = trouble != troubles_.end() && trouble->second.next > net::Clock::now();
    if (later || parsing_.contains(id)) continue;
    found = Look::busy;
    if (parsing_.size() >= at_once) break;
    parsing_.emplace(id, object);
    net::spawn(needs_.executor, "parse a state", parse(id, object));
  }
  co_return found;
}

/// One attempt at one state; it never throws, and wakes the loop at its end.
Task<> StateParser::parse(std::string id, std::string object) {
  struct End {
    StateParser& self;
    const std::string& state_version;
    ~End() {
      self.parsing_.erase(state_version);
      self.wake();
    }
  } end{*this, id};
  std::optional<Code> code;
  std::string reason;
  try {
    co_await parse_content(id, object);
    troubles_.erase(id);
  } catch (const Error& error) {
    code = error.code();
    reason = error.what();
  } catch (const std::exception& error) {
    code = Code::internal;
    reason = error.what();
  }
  if (code) co_await note_trouble(id, *code, reason);
}

Task<> StateParser::parse_content(std::string id, std::string object) {
  http::ClientResponse response = co_await needs_.archivist.get(Id<Object>(object));
  StateDocument document;
  std::optional<std::string> malformed;
  std::optional<state::Parsed> parsed;
  auto piece = std::make_unique_for_overwrite<char[]>(piece_size);
  try {
    while (std::size_t count = co_await response.body->read({piece.get(), piece_size})) {
      if (!watching_) throw Error(Code::unavailable, "The state parser stops.");
      document.feed({piece.get(), count});
    }
    parsed = document.finish();
  } catch (const MalformedState& error) {
    malformed = error.detail();
  }
  if (malformed) {
    log::info("a state cannot be parsed", {{"state_version", id}, {"reason", *malformed}});
    co_await state::store_parse_failure(needs_.database, id, *malformed);
    co_return;
  }
  co_await state::store_parsed(needs_.database, needs_.vault, id, std::move(*parsed));
}

/// Decides when a state that could not be read or stored is tried again. Never throws.
Task<> StateParser::note_trouble(std::string id, Code code, std::string reason) {
  Trouble& trouble = troubles_[id];
  ++trouble.count;
  auto wait = std::chrono::milliseconds(500) * (1 << std::min(trouble.count - 1, 7));
  trouble.next = net::Clock::now() + std::min<net::Clock::duration>(wait, longest_pause);
  log::warn("a state waits to be parsed",
            {{"state_version", id}, {"attempt", trouble.count}, {"error", reason}});
  bool passes = code == Code::unavailable || code == Code::conflict;
  if (passes || trouble.count < attempts_limit) co_return;
  std::string shown =
      code == Code::not_found ? "The state's bytes are missing." : "The state's content cannot be stored.";
  try {
    co_await state::store_parse_failure(needs_.database, id, shown);
  } catch (const std::exception& error) {
    log::warn("a state's failure could not be noted", {{"state_version", id}, {"error", error.what()}});
  }
}

}  // namespace terrane::services
