#pragma once
#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "net/io.h"

namespace terrane::run {

/// What one look at the claimed jobs saw.
struct Beats {
  struct Job {
    std::int64_t beat = 0;
    std::chrono::seconds grace{0};  ///< what the shim was told; 0: only a witness ends it
    bool has_effects = false;       ///< an apply whose shim may have started the engine
  };
  std::map<std::string, Job> jobs;
  std::int64_t reports = 0;  ///< of all nodes, ever
  std::string server;        ///< tells servers, and the starts of one, apart
  bool job_api_answers = true;
};

/// Judges whose shim is silent, by counters alone: no node's clock takes part, and none of what was known
/// before this watch began. Pure but for what it remembers between two looks, which come about each second.
///
/// A counter must have stood still for 6 s while everything else was well. Nobody can be called silent while
/// the job API does not answer or no sign of life of any node arrives (a shim's beat, a node's report or a
/// claim): then it may be us who do not hear. Afterwards, and on another server, the watch begins anew.
class BeatWatch {
 public:
  using Moment = net::Clock::time_point;

  static constexpr std::chrono::seconds still{6};
  static constexpr std::chrono::seconds before_first_beat{24};  ///< a worker may take so long to start a shim
  static constexpr std::chrono::seconds sign_gap{4};  ///< signs of life come each 2 s where anything lives
  static constexpr std::chrono::seconds after_grace{60};  ///< the shim kills its engine before the grace ends

  struct Verdict {
    std::vector<std::string> silent;  ///< jobs whose owner is silent now
    std::vector<std::string> over;    ///< of these, those that may be taken from it
    std::vector<std::string> heard;   ///< jobs that were silent and are no more
  };
  Verdict look(Moment now, const Beats& seen);
  /// The database could not be asked: what happened meanwhile is not known.
  void begin_anew();

 private:
  struct Known {
    std::int64_t beat;
    Moment unmoved_since;  ///< the counter stood still at least since
    Moment watched_since;  ///< and everything else was well since
    bool silent = false;
  };
  void take(Moment now, const Beats& seen, Verdict& verdict);
  bool may_judge(Moment now, const Beats& seen);

  std::map<std::string, Known> known_;
  std::optional<std::int64_t> reports_;
  std::string server_;
  std::optional<Moment> last_sign_;
  bool suspended_ = true;
};

}  // namespace terrane::run
