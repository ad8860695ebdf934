#include "installation/installation.h"

#include "crypto/random.h"
#include "installation/installation_sql.h"

namespace terrane::installation {

Task<Opened> open(postgres::Database& database, std::string mode, std::string hostname) {
  const std::string fresh_id = crypto::random_uuid();
  std::function<Task<Opened>(postgres::Tx&)> body = [&](postgres::Tx& tx) -> Task<Opened> {
    Opened opened;
    postgres::Result cluster = co_await tx.run(sql::installation_cluster);
    opened.system_identifier = cluster[0].string("system_identifier");
    opened.timeline = cluster[0].integer("timeline");
    postgres::Result made = co_await tx.run(
        sql::installation_insert,
        postgres::Params::of(fresh_id, mode, hostname, opened.system_identifier, opened.timeline));
    opened.is_first_start = made.affected() == 1;

    postgres::Result found = co_await tx.run(sql::installation_find);
    const postgres::Row row = found[0];
    opened.installation = {row.string("id"),
                           row.string("mode"),
                           row.string("hostname"),
                           row.integer("epoch"),
                           row.string("system_identifier"),
                           row.integer("timeline")};
    opened.hostname_before = opened.installation.hostname;
    if (opened.installation.mode != mode) {
      throw Error(Code::conflict, "This installation was made in the mode '" + opened.installation.mode +
                                      "', which never changes; it was started in the mode '" + mode + "'.");
    }
    if (opened.hostname_before != hostname) {
      co_await tx.run(sql::installation_set_hostname, postgres::Params::of(hostname));
      opened.installation.hostname = hostname;
    }
    co_return opened;
  };
  co_return co_await database.transact<Opened>(body);
}

}  // namespace terrane::installation
