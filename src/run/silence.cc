#include "run/silence.h"

#include "base/log.h"
#include "run/silence_sql.h"
#include "run/store.h"

namespace terrane::run {

SilenceSweeper::SilenceSweeper(postgres::Database& database, object::ArchivistClient& archivist, Probe probe)
    : database_(database), losses_(database, archivist), probe_(std::move(probe)) {}

Task<> SilenceSweeper::run(net::Stop& stop) {
  watch_.begin_anew();
  marked_.clear();
  while (!co_await stop.wait_for(std::chrono::seconds(1))) {
    try {
      co_await look(net::Clock::now());
    } catch (const Error& error) {
      log::warn("the watch over silent nodes begins anew", {{"error", error.what()}});
    }
  }
}

Task<> SilenceSweeper::look(BeatWatch::Moment now) {
  std::map<std::string, Claimed> claimed;
  Beats seen;
  try {
    postgres::Result rows = co_await database_.query(sql::silence_look);
    seen.server = rows[0].string("server");
    seen.reports = rows[0].integer("reports");
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const postgres::Row& row = rows[i];
      if (row.is_null("id")) continue;
      claimed[row.string("id")] =
          Claimed{row.string("lease"), row.string("node_id"), row.integer("beat"), row.boolean("forgotten")};
      seen.jobs[row.string("id")] =
          Beats::Job{row.integer("beat"), std::chrono::seconds(row.integer("grace_seconds")),
                     row.boolean("has_effects")};
    }
  } catch (...) {
    watch_.begin_anew();
    throw;
  }
  // Nobody needs to be asked while nothing executes.
  if (!claimed.empty()) seen.job_api_answers = co_await probe_();
  BeatWatch::Verdict verdict = watch_.look(now, seen);
  co_await judge(claimed, seen, verdict);
}

Task<> SilenceSweeper::judge(const std::map<std::string, Claimed>& claimed, const Beats& seen,
                             const BeatWatch::Verdict& verdict) {
  for (const std::string& job : verdict.heard) co_await unmark(job);
  for (const std::string& job : verdict.silent) co_await mark(job, claimed.at(job).beat);
  for (const std::string& job : verdict.over) co_await end(job, claimed.at(job), seen.jobs.at(job));
  for (const auto& [job, owner] : claimed) {
    if (owner.forgotten) co_await end(job, owner, seen.jobs.at(job));
  }
  std::erase_if(marked_, [&](const auto& marked) { return !claimed.contains(marked.first); });
}

Task<> SilenceSweeper::mark(const std::string& job, std::int64_t beat) {
  auto known = marked_.find(job);
  if (known != marked_.end() && known->second == beat) co_return;
  postgres::Tx tx = co_await database_.begin();
  postgres::Result rows = co_await tx.run(sql::silence_mark, postgres::Params::of(job, beat));
  if (std::optional<postgres::Row> row = rows.one()) {
    json::object detail{{"job", job}, {"node", row->string("node_id")}};
    co_await trace(tx, row->string("run_id"), "background", "owner silent", detail);
    log::warn("the owner of a phase is silent", {{"job", job}, {"node", row->string("node_id")}});
  }
  co_await tx.commit();
  marked_[job] = beat;
}

Task<> SilenceSweeper::unmark(const std::string& job) {
  auto known = marked_.find(job);
  if (known == marked_.end()) co_return;
  postgres::Tx tx = co_await database_.begin();
  postgres::Result rows = co_await tx.run(sql::silence_unmark, postgres::Params::of(job, known->second));
  if (std::optional<postgres::Row> row = rows.one()) {
    json::object detail{{"job", job}, {"node", row->string("node_id")}};
    co_await trace(tx, row->string("run_id"), "background", "owner heard again", detail);
  }
  co_await tx.commit();
  marked_.erase(job);
}

Task<> SilenceSweeper::end(const std::string& job, const Claimed& claimed, const Beats::Job& seen) {
  Loss loss;
  loss.reason = "The node " + claimed.node +
                (claimed.forgotten ? " was declared dead." : " has been silent for too long.");
  if (seen.has_effects)
    loss.reason +=
        " This apply may have done more than the saved state says. Check before the next one; a state that "
        "its node still has will be offered as recovered.";
  loss.started = seen.has_effects;
  if (!claimed.forgotten) loss.beat = claimed.beat;
  co_await losses_.lose(job, claimed.lease, std::move(loss), "background");
}

}  // namespace terrane::run
