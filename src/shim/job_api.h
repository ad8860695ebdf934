#pragma once
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/task.h"
#include "http/client.h"
#include "net/io.h"
#include "worker_protocol/protocol.h"

namespace terrane::shim {

/// A job and the proof that it is ours.
struct Lease {
  std::string job, lease;
};

/// The control plane's answer to a node's report.
struct NodeAnswer {
  bool draining = false;
  std::int64_t epoch = 0;
  std::vector<std::string> closed;  ///< jobs whose lease is no longer valid
  std::vector<std::string> ended;   ///< runs of kept directories that are over
};

/// How much of a log segment the control plane has durably.
struct LogAnswer {
  bool beyond = false;  ///< nothing was taken, because the bytes before are missing there
  std::uint64_t size = 0;
};

/// The job API. Every call throws Error: {unavailable} when it may succeed later (not reached, 5xx, 429, 401,
/// 403: a node's certificate may be on its way), {conflict} when the lease is closed for good (409, 404),
/// {invalid} with the server's word when it refuses for another reason. Calls about jobs may be repeated at
/// will. One executor.
class JobApi {
 public:
  JobApi(net::Executor executor, http::Endpoint endpoint);
  /// What another JobApi of the same endpoint may resume TLS from, or empty.
  std::string tls_session() const { return client_.tls_session(); }

  Task<NodeAnswer> report_node(std::string node, std::string name, std::string incarnation,
                               std::size_t capacity, std::vector<std::string> jobs,
                               std::vector<std::string> kept);
  /// Nothing when nothing waits. An answer that is lost on its way is a claim whose lease runs out.
  /// `woken_by` is for the run's trace: message or look.
  Task<std::optional<worker_protocol::Job>> claim(std::string node, std::string incarnation,
                                                  std::string woken_by);

  Task<worker_protocol::Wish> beat(Lease lease, std::int64_t counter);
  Task<std::vector<worker_protocol::Slot>> slots(Lease lease, std::size_t count);
  /// Sends the sealed bytes of a segment from `position` on; none asks for the size.
  Task<LogAnswer> append_log(Lease lease, int segment, std::uint64_t position, std::string bytes);
  /// Uploads a sealed file.
  Task<> put_object(Lease lease, std::string object, std::string kind, std::filesystem::path file);
  Task<> post_state(Lease lease, worker_protocol::State state);
  Task<> post_result(Lease lease, worker_protocol::Outcome outcome);
  Task<> post_lost(Lease lease, std::string error, std::string import_list, bool started);
  Task<> post_recovered(Lease lease, worker_protocol::State state);

  /// Fetches a signed URL path into a file (from its beginning), at most `limit` bytes. Throws
  /// Error{too_large} above.
  Task<> fetch(std::string path, int descriptor, std::uint64_t limit);

 private:
  Task<std::string> call(http::ClientRequest request);
  Task<std::string> post(const Lease* lease, std::string target, std::string body);
  http::Client client_;
};

/// Repeats `attempt` for ever while it throws Error{unavailable}, after pauses of 50 ms to 2 s; everything
/// else it lets through. It gives up, with the last error, when `give_up` (may be null) says so.
Task<> persistently(std::function<Task<>()> attempt, std::function<bool()> give_up = {});

}  // namespace terrane::shim
