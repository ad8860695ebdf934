#pragma once
#include <chrono>
#include <functional>
#include <string>

#include "api/includes.h"
#include "net/io.h"
#include "postgres/database.h"
#include "run/store.h"

namespace terrane {

/// An applied run of the source workspace queues a run in the other one.
struct RunTrigger {
  static constexpr std::string_view id_prefix = "rt";
  Id<RunTrigger> id;
  std::string workspace, workspace_name;    ///< where runs are queued
  std::string sourceable, sourceable_name;  ///< whose runs do it
  Time created_at;
};

namespace run {

/// A workspace may have so many sources.
constexpr std::int64_t most_sources = 20;

/// Queues the runs that applied runs have set off. Several may do this at once: each is decided under the
/// target workspace's row.
class TriggeredRuns {
 public:
  /// `before_look` is awaited before each look; what it throws delays the look. `look_interval`: between
  /// looks of its own; 0: only `wake` makes it look.
  TriggeredRuns(net::Executor executor, postgres::Database& database,
                std::function<Task<>()> before_look = {},
                std::chrono::milliseconds look_interval = std::chrono::seconds(2))
      : database_(database),
        before_look_(std::move(before_look)),
        look_interval_(look_interval),
        event_(executor) {}
  /// Looks until `stop`.
  Task<> run(net::Stop& stop);
  /// Called when NOTIFY says that a run has changed.
  void wake() {
    woken_ = true;
    event_.notify();
  }
  /// Does what waits; returns how many that were. Throws Error{unavailable}.
  Task<std::size_t> look();

 private:
  Task<> queue(std::string source_run, std::string workspace);

  postgres::Database& database_;
  std::function<Task<>()> before_look_;
  std::chrono::milliseconds look_interval_;
  net::Event event_;
  bool woken_ = false;
};

/// Endpoints of run triggers.
class TriggerApi {
 public:
  TriggerApi(postgres::Database& database, api::Includes& includes)
      : database_(database), includes_(includes) {}
  void add_routes(http::Router& router);

 private:
  Task<http::Response> list(http::Request& request);
  Task<http::Response> create(http::Request& request);
  Task<http::Response> show(http::Request& request);
  Task<http::Response> remove(http::Request& request);

  postgres::Database& database_;
  api::Includes& includes_;
};

}  // namespace run
}  // namespace terrane
