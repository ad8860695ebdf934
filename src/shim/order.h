#pragma once
#include <filesystem>
#include <string>

#include "base/json.h"
#include "http/client.h"
#include "shim/relay.h"
#include "worker_protocol/protocol.h"

namespace terrane::shim {

/// Everything a shim is told by its worker, through an anonymous file: it holds secrets and never lies on a
/// disk.
struct ShimOrder {
  worker_protocol::Job job;
  http::Endpoint api;               ///< the job API, with the node's certificate
  Platform platform;                ///< where the sandbox's relay leads to
  std::filesystem::path engine;     ///< the engine's program file; empty when the node cannot serve it
  std::string engine_error;         ///< why, then
  std::filesystem::path providers;  ///< the provider store, empty without
  std::filesystem::path kept;       ///< directory for `kept_record`s, empty: no run directory is kept
  std::string kept_plan_sha256;  ///< apply: the run directory is the one of the plan phase, with a plan file
                                 ///< of this hash; else empty
};

json::object to_json(const ShimOrder& order);
/// Throws Error{invalid} that names the member.
ShimOrder order_from_json(const json::object& object);

/// What a plan phase leaves in KEPT/RUN.json, so that the apply can go on in its run directory: the plan
/// file's hash.
std::filesystem::path kept_record(const std::filesystem::path& kept, const std::string& run);

}  // namespace terrane::shim
