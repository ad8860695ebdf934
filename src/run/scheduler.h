#pragma once
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "net/io.h"
#include "postgres/database.h"
#include "run/store.h"

namespace terrane::run {

/// Decides what happens next to runs that wait: whose turn it is to plan, which planned runs apply by
/// themselves, which confirmed ones are queued. Every decision is made under the workspace's row, so several
/// schedulers at once are harmless.
class Scheduler {
 public:
  /// `fallback_engine`: a run that asks for a version nobody registered gets the default engine, with a note
  /// (setting, on in demo).
  /// `before_look` is awaited before each look; what it throws delays the look.
  /// `look_interval`: between looks of its own; 0: only `wake` makes it look.
  Scheduler(net::Executor executor, postgres::Database& database, bool fallback_engine,
            std::function<Task<>()> before_look = {},
            std::chrono::milliseconds look_interval = std::chrono::seconds(2));
  /// Schedules until `stop`.
  Task<> run(net::Stop& stop);
  /// Called when NOTIFY says that a run or a lock has changed.
  void wake() {
    woken_ = true;
    event_.notify();
  }

 private:
  Task<std::size_t> look();
  Task<bool> advance(std::string run_id, std::string workspace_id);
  Task<bool> start(postgres::Tx& tx, const Workspace& workspace, Run& run);
  Task<> republish();

  postgres::Database& database_;
  bool fallback_engine_;
  std::function<Task<>()> before_look_;
  std::chrono::milliseconds look_interval_;
  net::Event event_;
  bool woken_ = false;
};

}  // namespace terrane::run
