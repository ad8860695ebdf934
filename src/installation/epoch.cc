#include "installation/epoch.h"

#include "installation/epoch_sql.h"
#include "net/files.h"

namespace terrane::installation {

std::string_view name(History history) {
  switch (history) {
    case History::goes_on: return "goes on";
    case History::another_cluster: return "another cluster";
    case History::another_timeline: return "another timeline";
    case History::went_back: return "went back";
  }
  return "went back";
}

History compare(const Position& before, const Position& now) {
  if (before.system_identifier != now.system_identifier) return History::another_cluster;
  if (before.timeline != now.timeline) return History::another_timeline;
  if (now.pulse < before.pulse || now.wal < before.wal || now.epoch < before.epoch) return History::went_back;
  return History::goes_on;
}

Task<Position> position(postgres::Database& database) {
  postgres::Result rows = co_await database.query(sql::epoch_position);
  const postgres::Row row = rows[0];
  co_return Position{row.string("system_identifier"), row.integer("timeline"), row.integer("wal"),
                     row.integer("epoch"), row.integer("pulse")};
}

Task<Position> advance(postgres::Database& database) {
  co_await database.query(sql::epoch_advance);
  co_return co_await position(database);
}

std::optional<Position> read_witness(const std::filesystem::path& file) {
  if (!std::filesystem::exists(file)) return std::nullopt;
  json::value value = parse_json(net::read_file(file, 64 * 1024));
  if (!value.is_object()) throw Error(Code::invalid, file.string() + " must hold a JSON object.");
  const json::object& object = value.get_object();
  return Position{require_string(object, "system_identifier"), require_int(object, "timeline"),
                  require_int(object, "wal"), require_int(object, "epoch"),
                  find_int(object, "pulse").value_or(0)};
}

void write_witness(const std::filesystem::path& file, const Position& position) {
  json::object object{{"system_identifier", position.system_identifier},
                      {"timeline", position.timeline},
                      {"wal", position.wal},
                      {"epoch", position.epoch},
                      {"pulse", position.pulse}};
  net::write_file(file, json::serialize(object));
}

Task<std::int64_t> raise_epoch(postgres::Tx& tx, const Position& before, const Position& now, History why) {
  postgres::Result locked = co_await tx.run(sql::epoch_lock);
  std::int64_t number = std::max(locked[0].integer("epoch"), before.epoch) + 1;
  co_await tx.run(sql::epoch_raise, postgres::Params::of(number, now.system_identifier, now.timeline));
  co_await tx.run(sql::epoch_insert, postgres::Params::of(number, name(why)));
  co_return number;
}

Task<std::optional<Raised>> newest_epoch(postgres::Tx& tx) {
  postgres::Result rows = co_await tx.run(sql::epoch_newest);
  std::optional<postgres::Row> row = rows.one();
  if (!row) co_return std::nullopt;
  co_return Raised{row->integer("number"), row->opt_time("went_back_to")};
}

Task<std::optional<StateSearch>> open_state_search(postgres::Database& database) {
  postgres::Result rows = co_await database.query(sql::epoch_open_state_search);
  std::optional<postgres::Row> row = rows.one();
  if (!row) co_return std::nullopt;
  co_return StateSearch{row->integer("number"), row->string("states_after")};
}

Task<> advance_state_search(postgres::Database& database, const StateSearch& search) {
  co_await database.query(sql::epoch_advance_state_search, postgres::Params::of(search.epoch, search.after));
}

Task<> end_state_search(postgres::Database& database, std::int64_t epoch) {
  co_await database.query(sql::epoch_end_state_search, postgres::Params::of(epoch));
}

}  // namespace terrane::installation
