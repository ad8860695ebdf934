#include "workspace/workspace_settings.h"

#include <filesystem>

#include "base/text.h"
#include "organization/execution.h"
#include "workspace/workspace_sql.h"

namespace terrane::workspace {
namespace {

constexpr std::size_t most_paths = 100;

constexpr organization::ExecutionNames execution_names{
    "execution-mode", "agent-pool-id", "execution-mode", "agent-pool",
    "Agent pool must be specified when using 'agent' execution mode"};

std::string pointer_to(std::string_view attribute) { return "/data/attributes/" + std::string(attribute); }

/// `1.9.0`, `1.9`, `1.12.0-beta1`.
bool is_version(std::string_view text) {
  if (text.starts_with('v')) text.remove_prefix(1);
  const std::string_view numbers = text.substr(0, text.find_first_of("-+"));
  const std::vector<std::string_view> parts = split(numbers, '.');
  if (parts.empty() || parts.size() > 4) return false;
  for (std::string_view part : parts) {
    if (part.empty() || part.size() > 9 ||
        !std::ranges::all_of(part, [](char c) { return c >= '0' && c <= '9'; }))
      return false;
  }
  return std::ranges::all_of(text.substr(numbers.size()), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '+' || c == '.';
  });
}

bool is_constraint(std::string_view text) {
  text = trim(text);
  for (std::string_view sign : {"~>", ">=", "<=", "!=", "=", ">", "<"}) {
    if (!text.starts_with(sign)) continue;
    text.remove_prefix(sign.size());
    break;
  }
  return is_version(trim(text));
}

/// What this installation does not have is refused, not ignored.
void refuse_missing_features(const json::object& attributes) {
  const json::value* repository = attributes.if_contains("vcs-repo");
  if (repository && !repository->is_null()) {
    throw Error(Code::unprocessable, "This installation has no connections to repositories.",
                pointer_to("vcs-repo"));
  }
  if (find_bool(attributes, "hyok-enabled").value_or(false)) {
    throw Error(Code::unprocessable, "This installation has no HYOK configurations.",
                pointer_to("hyok-enabled"));
  }
}

/// `operations` is the older way to say remote or local.
json::object with_execution_mode(const json::object& data) {
  json::object out = data;
  const json::object* given = find_object(data, "attributes");
  if (!given || given->contains("execution-mode")) return out;
  if (std::optional<bool> operations = find_bool(*given, "operations"))
    out["attributes"].as_object()["execution-mode"] = *operations ? "remote" : "local";
  return out;
}

/// Prefixes and patterns are two ways to say the same: the one that is given replaces the other.
void settle_triggers(Workspace& workspace, json::object& columns) {
  const bool prefixes = columns.contains("trigger_prefixes") && !workspace.trigger_prefixes.empty();
  const bool patterns = columns.contains("trigger_patterns") && !workspace.trigger_patterns.empty();
  if (prefixes && patterns) {
    throw Error(Code::unprocessable,
                "Trigger patterns and trigger prefixes cannot be populated at the same time",
                pointer_to("trigger-patterns"));
  }
  if (prefixes) columns["trigger_patterns"] = json::array();
  if (patterns) columns["trigger_prefixes"] = json::array();
}

/// A state is shared with the whole organization, or with the project, or with those that are named.
void settle_sharing(Workspace& workspace, json::object& columns) {
  if (!workspace.global_remote_state || !workspace.project_remote_state) return;
  const bool global = columns.contains("global_remote_state");
  const bool project = columns.contains("project_remote_state");
  if (global && project) {
    throw Error(Code::unprocessable,
                "Project remote state cannot be enabled when global remote state sharing is enabled",
                pointer_to("project-remote-state"));
  }
  columns[global ? "project_remote_state" : "global_remote_state"] = false;
}

/// A workspace with settings of its own does not take the project's.
void settle_auto_destroy(const Workspace& workspace, json::object& columns) {
  const bool own =
      (columns.contains("auto_destroy_at") && workspace.auto_destroy_at) ||
      (columns.contains("auto_destroy_activity_duration") && workspace.auto_destroy_activity_duration);
  const json::value* inherits = columns.if_contains("inherits_project_auto_destroy");
  if (own && !inherits) columns["inherits_project_auto_destroy"] = false;
  if (inherits && inherits->get_bool()) {
    columns["auto_destroy_at"] = nullptr;
    columns["auto_destroy_activity_duration"] = nullptr;
  }
}

}  // namespace

std::optional<std::string> plausible_version(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  if (text.empty() || text.size() > 128) return "must have 1 to 128 characters";
  if (text == "latest") return std::nullopt;
  const std::vector<std::string_view> parts = split(text, ',');
  if (std::ranges::all_of(parts, is_constraint)) return std::nullopt;
  return "Terraform version must be a version such as 1.9.0, a constraint such as ~> 1.9.0, or latest";
}

std::optional<std::string> inner_path(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  if (text.size() > 1024) return "must have at most 1024 characters";
  std::filesystem::path path(text);
  for (const auto& part : path) {
    if (part == "..") return "must not contain ..";
  }
  return std::nullopt;
}

std::optional<std::string> path_list(const json::value& given) {
  if (!given.is_array()) return std::nullopt;
  if (given.get_array().size() > most_paths)
    return "must have at most " + std::to_string(most_paths) + " elements";
  for (const json::value& path : given.get_array()) {
    if (path.is_string() && path.get_string().size() > 1024)
      return "must have elements of at most 1024 characters";
  }
  return std::nullopt;
}

Task<json::object> settle(postgres::Tx& tx, const json::object& given, jsonapi::Flag when,
                          Workspace& workspace) {
  const json::object data = with_execution_mode(given);
  if (const json::object* attributes = find_object(data, "attributes")) refuse_missing_features(*attributes);
  json::object columns = jsonapi::decode(resource(), data, when, &workspace);
  settle_triggers(workspace, columns);
  settle_sharing(workspace, columns);
  settle_auto_destroy(workspace, columns);
  if (std::optional<std::string> project = jsonapi::related_id(data, "project")) {
    postgres::Result found = co_await tx.run(sql::workspace_project_exists,
                                             postgres::Params::of(*project, workspace.organization_id));
    if (found.empty())
      throw Error(Code::not_found, "There is no such project.", "/data/relationships/project");
    columns["project_id"] = *project;
    workspace.project = *project;
  }
  organization::Execution execution{workspace.overwrites_execution_mode, workspace.execution_mode,
                                    workspace.agent_pool};
  const organization::ExecutionOwner owner{workspace.organization_id, workspace.project, workspace.id.text()};
  if (co_await organization::settle_execution(tx, data, execution_names, owner, execution)) {
    columns["overwrites_execution_mode"] = execution.overwrites;
    columns["execution_mode"] = execution.mode;
    columns["agent_pool_id"] = execution.agent_pool ? json::value(*execution.agent_pool) : json::value();
  }
  co_return columns;
}

}  // namespace terrane::workspace
