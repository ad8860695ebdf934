#include "run/trace.h"

#include <cstdio>

#include "outbox/outbox.h"
#include "run/jobs_sql.h"
#include "run/run_sql.h"
#include "run/waits.h"

namespace terrane::run {
namespace {

std::string padded(std::string text, std::size_t width) {
  if (text.size() < width) text.append(width - text.size(), ' ');
  return text + "  ";
}

std::string state_of(const postgres::Row& node) {
  if (!node.is_null("forgotten_at")) return "forgotten";
  if (node.boolean("silent")) return "silent";
  return node.boolean("draining") ? "draining" : "active";
}

}  // namespace

Task<std::string> trace_text(postgres::Database& database, std::string run) {
  postgres::Result rows = co_await database.query(sql::run_trace, postgres::Params::of(run));
  if (rows.empty()) throw Error(Code::not_found, "There is no run " + run + ".");
  std::string out =
      padded("TIME", 24) + padded("SECONDS", 9) + padded("WHO", 28) + padded("WHAT", 18) + "DETAIL\n";
  std::optional<Time> before;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    Time at = rows[i].time("at");
    char seconds[32] = "";
    if (before)
      std::snprintf(seconds, sizeof seconds, "%.3f", std::chrono::duration<double>(at - *before).count());
    before = at;
    out += padded(iso8601(at), 24) + padded(seconds, 9) + padded(rows[i].string("who"), 28) +
           padded(rows[i].string("what"), 18);
    std::string detail;
    const json::value given = rows[i].json("detail");
    for (const auto& [key, value] : given.as_object()) {
      if (!detail.empty()) detail += " ";
      detail += std::string(key) + "=" +
                (value.is_string() ? std::string(value.get_string()) : json::serialize(value));
    }
    out += detail + "\n";
  }
  postgres::Tx tx = co_await database.begin();
  const std::vector<std::string> one{run};
  for (const auto& [id, wait] : co_await waiting_for(tx, one)) out += "\n" + wait + "\n";
  co_return out;
}

Task<std::string> nodes_text(postgres::Database& database) {
  postgres::Result rows = co_await database.query(sql::node_list);
  std::string out =
      padded("NODE", 24) + padded("EXECUTES", 8) + padded("CAPACITY", 8) + padded("STATE", 9) + "SEEN\n";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    out += padded(rows[i].string("id"), 24) + padded(rows[i].string("running"), 8) +
           padded(rows[i].string("capacity"), 8) + padded(state_of(rows[i]), 9) +
           iso8601(rows[i].time("seen_at")) + "\n";
  }
  co_return out;
}

Task<> set_draining(postgres::Database& database, std::string node, bool draining) {
  postgres::Tx tx = co_await database.begin();
  postgres::Result found = co_await tx.run(sql::node_set_draining, postgres::Params::of(node, draining));
  if (found.empty())
    throw Error(Code::not_found, "There is no node " + node + ". `terrane node list` prints all.");
  json::object message{{"look", "node"}};
  if (found[0].boolean("changed")) co_await outbox::write(tx, outbox::node_queue(node), message);
  co_await tx.commit();
}

Task<> forget_node(postgres::Database& database, std::string node) {
  postgres::Result forgotten = co_await database.query(sql::node_forget, postgres::Params::of(node));
  if (forgotten.empty()) {
    postgres::Result heard = co_await database.query(sql::node_silence, postgres::Params::of(node));
    if (heard.empty())
      throw Error(Code::not_found, "There is no node " + node + ". `terrane node list` prints all.");
    throw Error(Code::conflict, "The node " + node + " was heard " + heard[0].string("seconds") +
                                    " s ago: it is not dead. Stop it, wait half a minute and try again.");
  }
  const net::Clock::time_point deadline = net::Clock::now() + std::chrono::seconds(30);
  while (true) {
    postgres::Result claims = co_await database.query(sql::node_claims, postgres::Params::of(node));
    if (claims[0].integer("count") == 0) co_return;
    if (net::Clock::now() > deadline)
      throw Error(Code::unavailable, "The node is forgotten, but its " + claims[0].string("count") +
                                         " phases wait for background to end them.");
    co_await net::sleep_for(std::chrono::milliseconds(100));
  }
}

}  // namespace terrane::run
