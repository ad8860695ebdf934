#pragma once
#include <optional>
#include <string>

#include "base/task.h"
#include "postgres/database.h"

namespace terrane::installation {

/// This installation, as its one row says.
struct Installation {
  std::string id;    ///< random UUID
  std::string mode;  ///< demo, disk, external or active-active; never changes
  std::string hostname;
  std::int64_t epoch = 1;
  std::string system_identifier;  ///< of the PostgreSQL cluster, when the epoch began
  std::int64_t timeline = 1;      ///< the same
};

/// What a start found. When the cluster or its timeline is another one than the row says, commits may have
/// been lost: the caller decides about the epoch before anything else happens.
struct Opened {
  Installation installation;      ///< as stored; the hostname is the new one
  bool is_first_start = false;    ///< the row was made just now
  std::string system_identifier;  ///< of the server that answers now
  std::int64_t timeline = 1;      ///< the same
  std::string hostname_before;    ///< what was stored

  bool another_cluster() const { return installation.system_identifier != system_identifier; }
  bool another_timeline() const { return installation.timeline != timeline; }
  bool another_hostname() const { return hostname_before != installation.hostname; }
};

/// Reads the installation's row, or makes it on the first start; several processes may do so at once. A new
/// hostname is written. Throws Error{conflict} when the stored mode is another one.
Task<Opened> open(postgres::Database& database, std::string mode, std::string hostname);

}  // namespace terrane::installation
