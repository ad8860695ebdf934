#pragma once
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "http/router.h"
#include "object/archivist_client.h"
#include "object/object.h"
#include "postgres/database.h"
#include "run/store.h"
#include "user/tokens.h"
#include "vault_client/vault.h"
#include "worker_protocol/protocol.h"

namespace terrane::run {

/// What phases get, from the settings.
struct PhaseLimits {
  std::chrono::seconds plan_time{2 * 3600};
  std::chrono::seconds apply_time{24 * 3600};
  std::int64_t memory_bytes = 2048LL * 1024 * 1024;
  double cpus = 0;
  std::int64_t processes = 1024;
  std::int64_t disk_bytes = 4096LL * 1024 * 1024;
};

/// The transit key that wraps the data keys of blobs.
constexpr const char* blob_key = "archivist";
/// A plan that lost its worker this often is given up.
constexpr int most_attempts = 5;

/// The job API: what worker nodes and shims ask, on a listener of its own where each client shows its node's
/// certificate. Every write for a job names the job's lease; a closed lease gets 409. All endpoints may be
/// repeated.
class JobApi {
 public:
  struct Needs {
    net::Executor executor;
    postgres::Database& database;
    vault_client::Vault& vault;
    object::ArchivistClient& archivist;
    user::Tokens& tokens;
    const object::UrlSigner& urls;
    std::string hostname;  ///< as configurations name the platform: host[:port]
    PhaseLimits limits;
  };
  explicit JobApi(Needs needs) : needs_(std::move(needs)) {}
  void add_routes(http::Router& router);
  /// Fills the reserve of data keys, so that a hand-out does not wait for vault.
  Task<> fill_reserve();

 private:
  /// A job whose lease the caller proved.
  struct Leased {
    JobRecord job;
    std::string log;
    bool open = false;  ///< whether the lease still holds
  };

  Task<http::Response> register_node(http::Request& request);
  Task<http::Response> claim(http::Request& request);
  Task<http::Response> beat(http::Request& request);
  Task<http::Response> slots(http::Request& request);
  Task<http::Response> log(http::Request& request);
  Task<http::Response> put_object(http::Request& request);
  Task<http::Response> put_state(http::Request& request);
  Task<http::Response> result(http::Request& request);
  Task<http::Response> lost(http::Request& request);

  /// One attempt at handing a job out; nothing when another one has to be looked for.
  Task<std::optional<http::Response>> claim_one(const std::string& node, const std::string& woken_by);
  /// Ends a run whose job cannot be handed out.
  Task<> give_up(const std::string& job_id, const std::string& reason);
  Task<std::vector<worker_protocol::Slot>> take_slots(std::size_t count);
  Task<worker_protocol::Job> claimed_job(postgres::Tx& tx, const JobRecord& job, Run& run,
                                         std::vector<worker_protocol::Slot> slots);
  Task<std::vector<worker_protocol::Variable>> open_variables(const Run& run, json::value frozen,
                                                              std::optional<std::string> own);
  Task<Leased> require_lease(postgres::Tx& tx, const http::Request& request);
  /// The CLI looks at an auto-applied run once more between the plan's log and the apply's, and says nothing
  /// at all when it finds it errored. So an apply that fails at once keeps its run `applying` until five
  /// seconds after the plan. Suspends that long.
  Task<> let_the_client_see_the_plan(std::string job_id);
  /// Gives a log its first byte (STX) if it has none: the shim of the first segment was lost before it could.
  Task<> begin_log(std::string log, std::string workspace);
  Task<> end_phase(postgres::Tx& tx, const Leased& leased, const worker_protocol::Outcome& outcome,
                   const std::string& node);
  /// How a phase was lost with its worker or its shim.
  struct Loss {
    std::string reason, import_list;
    bool started = false;  ///< the shim says that the engine ran
  };
  Task<> lose(const std::string& job_id, const std::string& lease, Loss loss, std::string node);
  Task<bool> lose_once(const std::string& job_id, const std::string& lease, const Loss& loss,
                       const std::string& node);

  Needs needs_;
  std::vector<sealed::DataKey> reserve_;
  bool filling_ = false;
};

}  // namespace terrane::run
