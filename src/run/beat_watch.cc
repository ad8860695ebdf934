#include "run/beat_watch.h"

namespace terrane::run {

void BeatWatch::begin_anew() {
  known_.clear();
  reports_.reset();
  last_sign_.reset();
  suspended_ = true;
}

void BeatWatch::take(Moment now, const Beats& seen, Verdict& verdict) {
  const bool first = !reports_;
  bool sign = false;
  for (const auto& [id, job] : seen.jobs) {
    auto [known, is_new] = known_.try_emplace(id, Known{job.beat, now, now});
    const bool moved = is_new || known->second.beat != job.beat;
    sign = sign || moved;
    if (!moved || is_new) continue;
    if (known->second.silent) verdict.heard.push_back(id);
    known->second = Known{job.beat, now, now};
  }
  std::erase_if(known_, [&](const auto& known) { return !seen.jobs.contains(known.first); });
  sign = sign || reports_ != seen.reports;
  reports_ = seen.reports;
  // All that a first look sees is new to it, and says nothing.
  if (sign && !first) last_sign_ = now;
}

bool BeatWatch::may_judge(Moment now, const Beats& seen) {
  const bool well = seen.job_api_answers && last_sign_ && now - *last_sign_ <= sign_gap;
  if (well && suspended_) {
    for (auto& [id, known] : known_) known.watched_since = now;
  }
  suspended_ = !well;
  return well;
}

BeatWatch::Verdict BeatWatch::look(Moment now, const Beats& seen) {
  Verdict verdict;
  if (server_ != seen.server) begin_anew();
  server_ = seen.server;
  take(now, seen, verdict);
  if (!may_judge(now, seen)) return verdict;
  for (auto& [id, known] : known_) {
    const Beats::Job& job = seen.jobs.at(id);
    if (now - known.watched_since < (job.beat == 0 ? before_first_beat : still)) continue;
    known.silent = true;
    verdict.silent.push_back(id);
    if (job.grace.count() == 0) continue;
    if (!job.has_effects || now - known.unmoved_since >= job.grace + after_grace) verdict.over.push_back(id);
  }
  return verdict;
}

}  // namespace terrane::run
