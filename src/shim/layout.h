#pragma once
#include <string>

#include "worker_protocol/protocol.h"

/// Where shim and worker find things in a run directory: names relative to it, and inside the sandbox where
/// the engine is told them.
namespace terrane::shim {

inline constexpr const char* archive_file = "home/configuration.tar.gz";
inline constexpr const char* plan_file = "home/terrane.plan";
inline constexpr const char* events_file = "home/terrane.events";
inline constexpr const char* fetched_state_file = "home/terrane.state";

/// The working directory: `work`, or the configuration's part of it.
std::string working_directory_of(const worker_protocol::Job& job);
/// Where the engine's local backend keeps the state of the workspace.
std::string state_file_of(const worker_protocol::Job& job);
/// A name of the run directory as it is seen inside. Throws Error{internal} for one outside work and home.
std::string inside(const std::string& name);

}  // namespace terrane::shim
