#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "base/secret.h"

/// What the control plane and workers say to each other: the job API's documents. It is versioned because a
/// newer worker takes up the shim of an older one; members may be added, and what is unknown is ignored.
namespace terrane::worker_protocol {

constexpr int version = 1;

enum class Phase { plan, apply };
std::string_view name(Phase phase);
std::optional<Phase> phase_from(std::string_view name);

/// An object the shim may seal and upload in this phase: its id and a data key, in clear (memory only) and
/// wrapped.
struct Slot {
  std::string object;
  Secret key;
  std::string wrapped;
};

/// A variable for the engine.
struct Variable {
  std::string key;
  Secret value;
  bool environment = false;  ///< an environment variable, else a Terraform variable
  bool hcl = false;          ///< the value is an expression, else a literal string
};

/// Everything one phase needs. Made at the claim; in a worker and a shim it lives in memory only.
struct Job {
  std::string id, run, workspace, workspace_name, organization, lease;
  Phase phase = Phase::plan;
  int attempt = 1;
  std::int64_t epoch = 0;

  std::string engine, engine_version;  ///< what serves the run, e.g. opentofu 1.12.6
  std::string engine_note;  ///< a first log line when it is not what the workspace asked for; may be empty
  std::string configuration_path;  ///< signed URL path of the tar.gz
  std::string working_directory;   ///< relative, may be empty
  std::string state_path;          ///< signed URL path of the current state, empty when there is none
  std::int64_t state_serial = -1;  ///< of that state, -1 when there is none
  std::string state_lineage;
  std::string plan_path;  ///< apply: signed URL path of the plan file
  std::string plan_note;  ///< apply: empty; redone plan: the line that says why

  bool destroy = false, refresh = true, refresh_only = false, allow_empty_apply = false,
       structured_output = false;
  std::vector<std::string> targets, replaces;
  std::vector<Variable> variables;  ///< workspace variables first, the run's own last (they win)
  std::map<std::string, std::string> environment;  ///< TFC_RUN_ID and the like

  std::string hostname;  ///< the platform's, as configurations name it: host or host:port
  Secret run_token;      ///< reads what the run was granted

  std::string log_object;
  int log_segment = 1;
  Slot log;                 ///< the key of this attempt's segment
  std::vector<Slot> slots;  ///< for plan, JSON, schemas and states, in any order

  std::chrono::seconds time_limit{7200};
  std::int64_t memory_bytes = 2048LL * 1024 * 1024;
  double cpus = 0;  ///< 0: no limit
  std::int64_t processes = 1024;
  std::int64_t disk_bytes = 4096LL * 1024 * 1024;
  /// How long the control plane holds the workspace of a silent node; a shim without a confirmed beat ends
  /// its engine before. 0: for ever.
  std::chrono::seconds grace{0};
};

json::object to_json(const Job& job);
/// Throws Error{invalid} that names the member.
Job job_from_json(const json::object& object);

json::object to_json(const Slot& slot);
Slot slot_from_json(const json::object& object);

/// What the platform wants of an executing phase; rides on the answer to each beat.
enum class Wish { none, cancel, force_cancel };
std::string_view name(Wish wish);
Wish wish_from(std::string_view name);

/// How a phase ended.
enum class Ending { finished, errored, canceled };
std::string_view name(Ending ending);
std::optional<Ending> ending_from(std::string_view name);

/// The shim's last word about a phase, also kept in its spool.
struct Outcome {
  Ending ending = Ending::errored;
  std::string error;  ///< for people; names a limit that was hit
  bool has_changes = false;
  bool generated_configuration = false;
  std::optional<std::int64_t> additions, changes, destructions, imports;
  std::string plan_object, json_object, schemas_object;  ///< uploaded objects, empty when there are none
  std::string import_list;  ///< apply: ready import blocks of what the state lacks
};

json::object to_json(const Outcome& outcome);
Outcome outcome_from_json(const json::object& object);

/// One state of the engine, uploaded as `object`.
struct State {
  std::string object, lineage, md5;
  std::int64_t serial = 0, size = 0;
  bool intermediate = true;
};

json::object to_json(const State& state);
State state_from_json(const json::object& object);

// Headers of the job API.
constexpr std::string_view lease_header = "X-Terrane-Lease";
constexpr std::string_view kind_header = "X-Terrane-Kind";

}  // namespace terrane::worker_protocol
