#pragma once
#include <chrono>
#include <functional>
#include <map>
#include <set>
#include <string>

#include "net/io.h"
#include "postgres/database.h"
#include "run/beat_watch.h"
#include "run/loss.h"

namespace terrane::run {

/// Watches the beats of all claimed jobs. A job whose owner is silent says so, and its workspace stays
/// locked; where there are several nodes a plan is run again, and an apply ends when its grace is over. Where
/// there is one, its worker is the witness of what is gone. What a node executed that an operator declared
/// dead is ended at once. Several may watch at the same time.
class SilenceSweeper {
 public:
  /// Whether the job API answers; suspends for at most a second or two.
  using Probe = std::function<Task<bool>()>;
  SilenceSweeper(postgres::Database& database, object::ArchivistClient& archivist, Probe probe);

  /// Watches each second until `stop`; each call is a watch of its own.
  Task<> run(net::Stop& stop);
  /// One look at that moment. Throws Error{unavailable}; the watch has begun anew then.
  Task<> look(BeatWatch::Moment now);

 private:
  struct Claimed {
    std::string lease, node;
    std::int64_t beat = 0;
    bool forgotten = false;
  };
  Task<> mark(const std::string& job, std::int64_t beat);
  Task<> unmark(const std::string& job);
  Task<> end(const std::string& job, const Claimed& claimed, const Beats::Job& seen);
  Task<> judge(const std::map<std::string, Claimed>& claimed, const Beats& seen,
               const BeatWatch::Verdict& verdict);

  postgres::Database& database_;
  Losses losses_;
  Probe probe_;
  BeatWatch watch_;
  std::map<std::string, std::int64_t> marked_;  // jobs that this watch has called silent, with their beat
};

}  // namespace terrane::run
