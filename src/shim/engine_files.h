#pragma once
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker_protocol/protocol.h"

/// What the engine is given: files, arguments, environment. Texts only; who puts them where stands in
/// phase.cc.
namespace terrane::shim {

// Names in the working directory. Override files are merged in the order of their names and later ones win;
// of automatic variable files too.
// `~` sorts behind every other printable ASCII character, so a configuration's own files do not win by their
// names.
inline constexpr std::string_view override_name = "~~terrane_override.tf.json";
inline constexpr std::string_view variables_name = "~~terrane.auto.tfvars";

/// Where things are inside the sandbox, besides sandbox::work_inside and home_inside.
inline constexpr std::string_view engine_inside = "/run/terrane/engine";
inline constexpr std::string_view providers_inside = "/run/terrane/providers";
inline constexpr std::string_view cli_config_inside = "/run/terrane/cli.tfrc";
inline constexpr std::string_view direct_config_inside =
    "/run/terrane/direct.tfrc";  ///< the same, without preference for the store

/// The certificates that runs trust, when the platform's own are not the system's.
inline constexpr std::string_view certificates_inside = "/run/terrane/ca-certificates.pem";

/// Replaces whatever backend or cloud block the configuration has by a local backend.
std::string override_file();

/// The Terraform variables as an automatic variable file; of equal keys the last one counts. Throws
/// Error{unprocessable} when a key is no identifier.
std::string variables_file(const std::vector<worker_protocol::Variable>& variables);

/// The source addresses (HOST/NAMESPACE/TYPE) that a provider store serves, sorted; none when there is no
/// store.
std::vector<std::string> stored_providers(const std::filesystem::path& store);

/// The CLI configuration. With `prefer_store` the providers in the store come from there alone, so `init`
/// asks nobody; else the registries are asked as well, for a version that the store lacks.
std::string cli_config(const std::vector<std::string>& stored, const std::string& hostname,
                       const Secret& token, bool prefer_store);

/// The engine's environment: the platform's, the workspace's own variables, and what must be as it is. With
/// `own_certificates` programs are pointed to `certificates_inside`.
std::map<std::string, std::string> engine_environment(const worker_protocol::Job& job,
                                                      std::string_view config_path, bool own_certificates);

/// Lets a short command that starts no providers collect its garbage only when it needs a quarter of the
/// run's memory; it takes a fifth of the time of `init`. What the workspace's own variables say stays.
void spare_collection(const worker_protocol::Job& job, std::map<std::string, std::string>& environment);

/// The program file's name of an engine.
std::string program_name(const std::string& engine);

/// Arguments after the program's path. Paths are those inside.
std::vector<std::string> init_arguments();
std::vector<std::string> plan_arguments(const worker_protocol::Job& job, const std::string& plan_path);
/// With an `events_path` the engine writes its events there beside its output for people; without, structured
/// output is its output.
std::vector<std::string> apply_arguments(const worker_protocol::Job& job, const std::string& events_path,
                                         const std::string& plan_path);
/// Whether the job's engine can do that (OpenTofu from 1.12 on).
bool writes_events(const worker_protocol::Job& job);

/// The first lines of a phase's log, without the STX.
std::string log_header(const worker_protocol::Job& job);

}  // namespace terrane::shim
