#pragma once
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "net/io.h"
#include "sealed/log.h"

namespace terrane::archivist {

/// A segment as far as it has been looked at.
struct LogSegment {
  int number = 0;
  sealed::LogIndex index;
  bool final = false;         ///< it will never grow again
  std::exception_ptr damage;  ///< why what follows cannot be read
};

/// What an archivist remembers of a log.
struct LogState {
  LogState(net::Executor executor, std::string name)
      : object(std::move(name)), changed(executor), looked(executor) {}

  /// One segment in a view of the whole log.
  struct Seen {
    std::shared_ptr<LogSegment> segment;
    std::uint64_t plain = 0;  ///< its bytes of plaintext
    bool damaged = false;
  };
  std::uint64_t plain_end() const {
    std::uint64_t end = 0;
    for (const Seen& seen : view) end += seen.plain;
    return end;
  }
  int last_segment() const { return segments.empty() ? 0 : segments.back()->number; }

  std::string object;
  std::vector<std::shared_ptr<LogSegment>> segments;  ///< all that were begun, ascending
  std::vector<Seen> view;                             ///< of one moment; what readers see

  int begun = 0;  ///< the segment that this archivist began and that was the last then
  net::Event changed;
  std::uint64_t version = 0;  ///< counts the appends one has heard of

  std::uint64_t looks_begun = 0;
  std::uint64_t looks_done = 0;
  bool looking = false;
  net::Event looked;

  std::uint64_t judged_end = 0;  ///< the plaintext's end of which is known …
  bool ends_with_etx = false;    ///< … whether the last byte is ETX: then nothing follows
};

}  // namespace terrane::archivist
