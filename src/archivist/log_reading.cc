#include "archivist/log_state.h"
#include "archivist/logs.h"
#include "base/log.h"
#include "sealed/bytes.h"

namespace terrane::archivist {
namespace {

constexpr std::size_t piece_size = 64 * 1024;
constexpr std::uint64_t pause_distance = 4 * 1024 * 1024;
constexpr char etx = '\x03';

/// Opens a blob; nothing when there is none.
Task<std::unique_ptr<blob::Reader>> open_if_there(blob::Store& store, std::string name,
                                                  std::uint64_t offset) {
  try {
    co_return co_await store.open(std::move(name), offset);
  } catch (const Error& error) {
    if (error.code() != Code::not_found) throw;
  }
  co_return nullptr;
}

[[noreturn]] void throw_damaged(const std::string& object, std::string_view reason) {
  throw sealed::Damaged({object, std::string(sealed::log_kind), {}, {}}, reason);
}

}  // namespace

/// A stretch of one segment that a reader wants, as it was decided in one moment.
struct Logs::Part {
  sealed::Header header;
  int number = 0;
  sealed::Place place;
  std::uint64_t from = 0;  // plaintext of the segment
  std::uint64_t to = 0;
};

/// Looks what the store has, at a moment after the call; those who ask at the same time share a look.
Task<> Logs::refresh(std::shared_ptr<LogState> log) {
  const std::uint64_t wanted = log->looks_begun + 1;
  while (log->looks_done < wanted) {
    if (log->looking) {
      co_await log->looked.wait_for(std::chrono::seconds(1));
      continue;
    }
    struct Turn {
      LogState& log;
      explicit Turn(LogState& state) : log(state) { log.looking = true; }
      ~Turn() {
        log.looking = false;
        log.looked.notify();
      }
    } turn(*log);
    const std::uint64_t mine = ++log->looks_begun;
    co_await look(log);
    log->looks_done = mine;
  }
}

Task<> Logs::look(std::shared_ptr<LogState> log) {
  co_await look_at_list(*log);
  // From the last to the first: a segment with bytes closed all before it, so those have their final size by
  // now.
  bool later_has_bytes = false;
  for (std::size_t at = log->segments.size(); at-- > 0;) {
    LogSegment& segment = *log->segments[at];
    if (!segment.final) {
      co_await look_at_segment(segment, segment_name(log->object, segment.number));
      segment.final = later_has_bytes;
    }
    later_has_bytes = later_has_bytes || segment.index.fed() > 0;
  }
  // All at once, so that nobody sees the bytes of a segment before those in front of them.
  log->view.clear();
  for (const auto& segment : log->segments) {
    log->view.push_back({segment, segment->index.plain_end(), segment->damage != nullptr});
  }
}

Task<> Logs::look_at_list(LogState& log) {
  std::unique_ptr<blob::Reader> reader =
      co_await open_if_there(needs_.store, segment_list_name(log.object), 4 * log.segments.size());
  if (!reader) co_return;
  std::string numbers;
  std::array<char, 1024> piece;
  while (std::size_t count = co_await reader->read(piece)) numbers.append(piece.data(), count);
  for (std::string_view rest = numbers; rest.size() >= 4; rest.remove_prefix(4)) {
    std::uint32_t number = sealed::get_u32(rest);
    if (number > static_cast<std::uint32_t>(segment_limit) ||
        static_cast<int>(number) <= log.last_segment()) {
      throw_damaged(log.object, "the list of its segments is not ascending");
    }
    auto segment = std::make_shared<LogSegment>();
    segment->number = static_cast<int>(number);
    log.segments.push_back(std::move(segment));
  }
}

Task<> Logs::look_at_segment(LogSegment& segment, std::string name) {
  if (segment.damage) co_return;
  std::unique_ptr<blob::Reader> reader =
      co_await open_if_there(needs_.store, std::move(name), segment.index.fed());
  if (!reader || reader->size() == segment.index.fed()) co_return;
  auto piece = std::make_unique_for_overwrite<char[]>(piece_size);
  std::uint64_t pause_at = pause_distance;
  std::uint64_t done = 0;
  while (std::size_t count = co_await reader->read({piece.get(), piece_size})) {
    try {
      segment.index.feed({piece.get(), count});
      if (segment.index.segments().size() > 1) throw_damaged({}, "a segment holds another");
    } catch (const sealed::Damaged&) {
      // What lies before can still be read.
      segment.damage = std::current_exception();
      co_return;
    }
    done += count;
    if (done < pause_at) continue;
    // What lies in the page cache is read without waiting: others must have their turn.
    pause_at += pause_distance;
    co_await net::sleep_for(net::Clock::duration::zero());
  }
}

Task<std::string> Logs::read(Object row, std::uint64_t offset, std::size_t limit) {
  std::shared_ptr<LogState> log = state_of(row.id.text());
  const net::Clock::time_point until = net::Clock::now() + hold_time;
  while (limit > 0) {
    const std::uint64_t version = log->version;
    std::string text;
    bool complete = false;
    try {
      co_await refresh(log);
      text = co_await collect(*log, row, offset, limit);
      if (text.empty()) complete = co_await is_complete(*log, row, offset);
    } catch (const sealed::Damaged& error) {
      log::error("a stored log is damaged", {{"object", row.id.text()}, {"error", error.what()}});
      // The next reader looks with fresh eyes: somebody may have put the bytes right.
      forget(row.id.text());
      throw;
    }
    net::Clock::duration left = until - net::Clock::now();
    if (!text.empty() || complete || left <= net::Clock::duration::zero()) co_return text;
    if (log->version == version) co_await log->changed.wait_for(left);
  }
  co_return std::string();
}

/// Nothing follows a log's ETX, so a reader behind it need not wait.
Task<bool> Logs::is_complete(LogState& log, const Object& row, std::uint64_t offset) {
  const std::uint64_t end = log.plain_end();
  if (end == 0 || offset < end) co_return false;
  if (log.judged_end != end) co_await collect(log, row, end - 1, 1);
  co_return log.judged_end == end&& log.ends_with_etx;
}

/// Decides without suspending what is to be read for [offset, offset + limit).
std::vector<Logs::Part> Logs::plan(const LogState& log, std::uint64_t offset, std::size_t limit) const {
  std::vector<Part> parts;
  std::uint64_t begin = 0;  // of the segment in the whole log
  std::uint64_t wanted = limit;
  for (const LogState::Seen& seen : log.view) {
    const std::uint64_t end = begin + seen.plain;
    if (offset < end && wanted > 0) {
      std::uint64_t from = offset - begin;
      std::uint64_t to = std::min(seen.plain, from + wanted);
      std::optional<sealed::Place> place = seen.segment->index.find(from);
      if (!place) throw_damaged(log.object, "a segment has no beginning");
      parts.push_back(
          {seen.segment->index.segments().front().header, seen.segment->number, *place, from, to});
      wanted -= to - from;
      offset = begin + to;
    }
    // Behind a damaged place the offsets are unknown; what was collected before it is good.
    if (seen.damaged && wanted > 0 && offset >= end) {
      if (parts.empty()) std::rethrow_exception(seen.segment->damage);
      break;
    }
    begin = end;
  }
  return parts;
}

Task<std::string> Logs::collect(LogState& log, const Object& row, std::uint64_t offset, std::size_t limit) {
  const std::uint64_t end = log.plain_end();
  std::vector<Part> parts = plan(log, offset, limit);
  std::string text;
  for (const Part& part : parts) co_await read_part(part, row, text);
  if (!text.empty() && offset + text.size() == end) {
    log.judged_end = end;
    log.ends_with_etx = text.back() == etx;
  }
  co_return text;
}

Task<> Logs::read_part(const Part& part, const Object& row, std::string& into) {
  Secret key = co_await needs_.keys.unwrap(part.header.wrapped);
  sealed::LogReader reader(std::move(key), part.header, row.id.text(), row.workspace);
  reader.start_at(part.place);
  reader.want(part.from, part.to);
  std::unique_ptr<blob::Reader> bytes =
      co_await needs_.store.open(segment_name(row.id.text(), part.number), part.place.position);
  auto piece = std::make_unique_for_overwrite<char[]>(piece_size);
  while (!reader.done()) {
    std::size_t count = co_await bytes->read({piece.get(), piece_size});
    if (count == 0) throw_damaged(row.id.text(), "a segment is shorter than it was");
    for (sealed::Piece& opened : reader.feed({piece.get(), count})) into += opened.text;
  }
}

/// Whether a segment that is there holds exactly this text.
Task<bool> Logs::has_same_text(const Object& log, int segment, const std::string& text) {
  LogSegment present;
  std::string name = segment_name(log.id.text(), segment);
  co_await look_at_segment(present, name);
  if (present.damage || present.index.plain_end() != text.size()) co_return false;
  std::optional<sealed::Place> place = present.index.find(0);
  if (!place) co_return false;
  Part part{present.index.segments().front().header, segment, *place, 0, text.size()};
  std::string found;
  co_await read_part(part, log, found);
  co_return found == text;
}

}  // namespace terrane::archivist
