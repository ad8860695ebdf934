#include "archivist/rows.h"

#include "archivist/archivist_sql.h"

namespace terrane::archivist {
namespace {

constexpr auto row_life = std::chrono::seconds(1);
constexpr std::size_t row_limit = 4096;

/// Only a row that grants something is remembered: an upload must be readable as soon as it has been
/// answered.
bool is_readable(const Object& object) {
  return object.status == "live" || (object.kind == "log" && object.status == "uploading");
}

}  // namespace

Task<std::optional<Row>> Rows::fresh(Id<Object> id) {
  known_.erase(id.text());
  net::Clock::time_point asked = net::Clock::now();
  postgres::Result result = co_await database_.query(sql::archivist_object, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  Row out{Object{Id<Object>(row->string("id")), row->string("kind"), row->string("workspace"),
                 row->string("status"), row->opt_integer("size"), row->opt_string("md5"),
                 object::facts_from_json(row->json("facts"))},
          row->integer("now"), row->boolean("hidden")};
  if (is_readable(out.object)) {
    if (known_.size() >= row_limit) known_.clear();
    known_[id.text()] = Known{out, asked};
  }
  co_return out;
}

Task<std::optional<Row>> Rows::recent(Id<Object> id) {
  auto found = known_.find(id.text());
  if (found != known_.end()) {
    auto age = net::Clock::now() - found->second.at;
    if (age < row_life) co_return found->second.row;
  }
  co_return co_await fresh(std::move(id));
}

}  // namespace terrane::archivist
