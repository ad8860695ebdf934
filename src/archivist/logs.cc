#include "archivist/logs.h"

#include "archivist/log_state.h"
#include "sealed/bytes.h"
#include "sealed/log.h"

namespace terrane::archivist {
namespace {

constexpr std::size_t state_limit = 512;
constexpr std::uint64_t indexed_limit = std::uint64_t{64}
                                        << 30;  // sealed bytes; their index takes about 32 MiB

[[noreturn]] void throw_later_segment() {
  throw Error(Code::conflict, "A later segment of this log has begun.");
}

}  // namespace

std::string segment_name(const std::string& object, int segment) {
  return blob::object_name(sealed::log_kind, object) + "." + std::to_string(segment);
}

std::string segment_list_name(const std::string& object) {
  return blob::object_name(sealed::log_kind, object) + ".segments";
}

void check_segment_header(std::string_view bytes, const Object& log) {
  try {
    std::optional<sealed::Header> header = sealed::parse_header(bytes);
    if (!header) throw Error(Code::unprocessable, "The first bytes of a segment must hold its whole header.");
    sealed::expect(*header, log.id.text(), sealed::log_kind, log.workspace);
    if (sealed::base_of(*header) != 0)
      throw Error(Code::unprocessable, "The base of a log segment must be 0.");
  } catch (const sealed::Damaged& error) {
    throw Error(Code::unprocessable, "The first bytes are not the header of a segment of this log.")
        .add_context(error.what());
  }
}

std::shared_ptr<LogState> Logs::state_of(const std::string& object) {
  auto found = states_.find(object);
  if (found != states_.end()) {
    recent_.splice(recent_.begin(), recent_, found->second.place);
    return found->second.state;
  }
  shrink();
  auto state = std::make_shared<LogState>(needs_.executor, object);
  recent_.push_front(object);
  states_.emplace(object, Cached{state, recent_.begin()});
  return state;
}

/// Forgets what was used longest ago. What somebody uses stays: it could not be woken any more.
void Logs::shrink() {
  std::uint64_t indexed = 0;
  for (const auto& [object, cached] : states_) {
    for (const auto& segment : cached.state->segments) indexed += segment->index.fed();
  }
  for (auto at = recent_.end();
       at != recent_.begin() && (states_.size() >= state_limit || indexed > indexed_limit);) {
    --at;
    auto found = states_.find(*at);
    if (found->second.state.use_count() > 1) continue;
    for (const auto& segment : found->second.state->segments) indexed -= segment->index.fed();
    states_.erase(found);
    at = recent_.erase(at);
  }
}

void Logs::forget(const std::string& object) {
  auto found = states_.find(object);
  if (found == states_.end()) return;
  wake(object);
  recent_.erase(found->second.place);
  states_.erase(found);
}

void Logs::wake(const std::string& object) {
  auto found = states_.find(object);
  if (found == states_.end()) return;
  ++found->second.state->version;
  found->second.state->changed.notify();
}

void Logs::wake_all() {
  for (const std::string& object : recent_) wake(object);
}

void Logs::notify_appended(const std::string& object) {
  wake(object);
  if (needs_.appended) needs_.appended(object);
}

Task<std::uint64_t> Logs::append(std::string object, int segment, std::uint64_t position, std::string bytes) {
  if (segment < 1 || segment > segment_limit)
    throw Error(Code::invalid, "The segment must be a number from 1 to 1000.");
  if (position > segment_size_limit || bytes.size() > segment_size_limit - position) {
    throw Error(Code::too_large, "A segment of a log may have at most 4 GiB.");
  }
  if (bytes.empty()) co_return co_await size(object, segment);
  std::shared_ptr<LogState> log = state_of(object);
  if (position == 0) {
    co_await begin_segment(log, segment);
  } else if (log->begun != segment) {
    // Its first bytes came through another archivist, or before a restart.
    co_await refresh(log);
    if (log->last_segment() > segment) throw_later_segment();
    if (log->last_segment() == segment) log->begun = segment;
  }
  std::uint64_t durable =
      co_await needs_.store.append(segment_name(object, segment), position, std::move(bytes));
  notify_appended(object);
  co_return durable;
}

Task<std::uint64_t> Logs::size(std::string object, int segment) {
  co_return co_await needs_.store.log_size(segment_name(object, segment));
}

/// Makes the segment the last one of the log, if it is not, and closes all before it.
Task<> Logs::begin_segment(std::shared_ptr<LogState> log, int segment) {
  if (log->begun == segment) co_return;
  constexpr int attempts = 8;
  for (int attempt = 1;; ++attempt) {
    co_await refresh(log);
    if (log->last_segment() > segment) throw_later_segment();
    if (log->last_segment() == segment) break;
    std::string number;
    sealed::put_u32(number, static_cast<std::uint32_t>(segment));
    try {
      co_await needs_.store.append(segment_list_name(log->object), 4 * log->segments.size(), number);
    } catch (const blob::PositionConflict&) {
      // Another archivist began one; look which.
      if (attempt == attempts) throw;
    }
  }
  co_await close_before(*log, segment);
  log->begun = segment;
}

/// Segments before `segment` never grow again, also those that have no bytes yet: else what readers have seen
/// of the log could move.
Task<> Logs::close_before(const LogState& log, int segment) {
  std::vector<std::shared_ptr<LogSegment>> segments = log.segments;
  for (const auto& before : segments) {
    if (before->number >= segment || before->final) continue;
    std::string name = segment_name(log.object, before->number);
    co_await needs_.store.append(name, 0, {});
    co_await needs_.store.seal_log(name);
  }
}

Task<> Logs::append_text(Object log, int segment, std::string text) {
  if (segment < 1 || segment > segment_limit)
    throw Error(Code::invalid, "The segment must be a number from 1 to 1000.");
  if (text.empty() || text.size() > text_limit)
    throw Error(Code::invalid, "A text of a log has 1 to 1048576 bytes.");
  const std::string object = log.id.text();
  const std::string name = segment_name(object, segment);
  std::shared_ptr<LogState> state = state_of(object);
  bool written = co_await needs_.store.size(name) > std::uint64_t{0};
  if (!written) {
    co_await begin_segment(state, segment);
    sealed::DataKey key = co_await needs_.vault.data_key(transit_key);
    sealed::Identity identity{object, std::string(sealed::log_kind), log.workspace, {{"attempt", "0"}}};
    sealed::LogSealer sealer(std::move(key), std::move(identity), 0);
    // An object and not a log: it is there whole or not at all, and never grows.
    std::unique_ptr<blob::Writer> writer = co_await needs_.store.create(name);
    co_await writer->write(sealer.begin());
    for (std::size_t at = 0; at < text.size(); at += sealed::record_limit) {
      std::string record = sealer.record(std::string_view(text).substr(at, sealed::record_limit));
      co_await writer->write(record);
    }
    try {
      co_await writer->commit();
    } catch (const Error& error) {
      if (error.code() != Code::conflict) throw;
      written = true;
    }
  }
  if (written && !co_await has_same_text(log, segment, text)) {
    throw Error(Code::conflict, "This segment of the log holds something else.");
  }
  notify_appended(object);
}

Task<> Logs::remove(std::string object) {
  std::shared_ptr<LogState> log = state_of(object);
  co_await refresh(log);
  std::vector<std::shared_ptr<LogSegment>> segments = log->segments;
  for (const auto& segment : segments) co_await needs_.store.remove(segment_name(object, segment->number));
  co_await needs_.store.remove(segment_list_name(object));
  forget(object);
}

}  // namespace terrane::archivist
