#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/state_file.h"

namespace terrane::shim {

/// A resource that the engine reported made.
struct Made {
  std::string address, id;
};

/// What an apply's event stream (`-json-into`) tells.
struct ApplyEvents {
  std::int64_t additions = 0, changes = 0, destructions = 0, imports = 0;
  std::vector<Made> made;    ///< in order; the last one of an address counts
  bool error_shown = false;  ///< a diagnostic of severity error is among the events
};

/// Reads the lines one after the other; a line that is cut or no JSON is passed over.
class ApplyEventReader {
 public:
  /// Takes the next bytes of the stream, in pieces of any size. A line over 1 MiB is passed over.
  void feed(std::string_view bytes);
  const ApplyEvents& events() const noexcept { return events_; }

 private:
  void take_line(std::string_view line);
  std::string line_;
  bool too_long_ = false;
  ApplyEvents events_;
};

/// Makes events of an engine's output for people, for engines that cannot write them beside it: what was
/// made, and the summary.
class TextEvents {
 public:
  /// Takes the next bytes of the output; returns whole event lines, mostly none. A line over 64 KiB is passed
  /// over.
  std::string feed(std::string_view bytes);

 private:
  std::string line_;
  bool too_long_ = false;
};

/// Reads a whole event file; an empty result when it is broken.
ApplyEvents read_apply_events(int descriptor);

/// Ready `import` blocks of what was made and is not in the state (by address and id); empty when nothing is
/// missing.
std::string import_list(const std::vector<Made>& made, const Instances& saved);

}  // namespace terrane::shim
