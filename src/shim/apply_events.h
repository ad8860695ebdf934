#pragma once
#include <cstdint>
#include <functional>
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

/// Finds what of an event stream nobody asks for later: the output of provisioners, of which there may be any
/// amount.
class ChatterFinder {
 public:
  /// A stretch of the stream, by its first byte and the one behind it: whole lines.
  using OnStretch = std::function<void(std::uint64_t begin, std::uint64_t end)>;
  explicit ChatterFinder(OnStretch on_stretch) : on_stretch_(std::move(on_stretch)) {}

  /// Takes the next bytes of the stream, in pieces of any size. A stretch that grows is told again from its
  /// begin on.
  void feed(std::string_view bytes);

 private:
  void end_line();
  OnStretch on_stretch_;
  std::string line_;
  bool too_long_ = false;
  std::uint64_t position_ = 0, begin_ = 0, told_ = 0;
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

/// Reads a whole event file without its holes; an empty result when it is broken.
ApplyEvents read_apply_events(int descriptor);

/// Ready `import` blocks of what was made and is not in the state (by address and id); empty when nothing is
/// missing.
std::string import_list(const std::vector<Made>& made, const Instances& saved);

}  // namespace terrane::shim
