#include "organization/execution.h"

#include "organization/execution_sql.h"

namespace terrane::organization {
namespace {

std::string pointer_to(std::string_view attribute) { return "/data/attributes/" + std::string(attribute); }

/// An attribute that is a text or null; nothing when it is absent.
std::optional<std::optional<std::string>> text_or_null(const json::object& attributes,
                                                       std::string_view name) {
  const json::value* value = attributes.if_contains(name);
  if (!value) return std::nullopt;
  if (value->is_null()) return std::optional<std::string>();
  if (!value->is_string())
    throw Error(Code::unprocessable, std::string(name) + " must be a string", pointer_to(name));
  return std::optional(std::string(value->get_string()));
}

/// Whether the setting is to be overwritten, as `setting-overwrites` says; nothing when it says nothing.
std::optional<bool> overwrites(const json::object& attributes, const ExecutionNames& names) {
  const json::object* given = find_object(attributes, "setting-overwrites");
  if (!given) return std::nullopt;
  std::optional<bool> mode = find_bool(*given, names.overwrites_mode);
  std::optional<bool> pool = find_bool(*given, names.overwrites_agent_pool);
  if (mode && pool && *mode != *pool) {
    throw Error(
        Code::unprocessable,
        "If agent-pool and execution-mode are both included in setting-overwrites, their values must be "
        "the same.",
        pointer_to("setting-overwrites"));
  }
  return mode ? mode : pool;
}

Task<> require_usable(postgres::Tx& tx, const std::string& pool, const ExecutionOwner& owner,
                      std::string pointer) {
  postgres::Result found = co_await tx.run(
      sql::execution_pool,
      postgres::Params::of(pool, owner.organization_id, owner.project_id, owner.workspace_id));
  if (found.empty())
    throw Error(Code::unprocessable, "There is no such agent pool in this organization", pointer);
  if (!found[0].boolean("usable"))
    throw Error(Code::unprocessable, "The agent pool is not allowed to be used here", pointer);
}

}  // namespace

Task<bool> settle_execution(postgres::Tx& tx, const json::object& data, const ExecutionNames& names,
                            const ExecutionOwner& owner, Execution& execution) {
  const json::object* attributes = find_object(data, "attributes");
  if (!attributes) co_return false;
  const auto mode = text_or_null(*attributes, names.mode);
  const auto pool = text_or_null(*attributes, names.agent_pool);
  const std::optional<bool> wanted = overwrites(*attributes, names);
  const bool has_mode = mode && *mode;
  if (!has_mode && !pool && !wanted) co_return false;
  if (has_mode && **mode != "remote" && **mode != "local" && **mode != "agent") {
    throw Error(Code::unprocessable, std::string(names.mode) + " must be remote, local or agent",
                pointer_to(names.mode));
  }
  if (wanted && !*wanted) {
    execution.overwrites = false;  // what is above decides, whatever else was given
    co_return true;
  }
  if (has_mode) execution.mode = **mode;
  if (has_mode || wanted) execution.overwrites = true;
  if (pool) execution.agent_pool = *pool;
  if (execution.mode != "agent") {
    if (pool && *pool)
      throw Error(Code::unprocessable,
                  "Agent pool must not be specified unless using 'agent' execution mode");
    execution.agent_pool.reset();
    co_return true;
  }
  if (pool && *pool) execution.overwrites = true;
  if (!execution.agent_pool)
    throw Error(Code::unprocessable, std::string(names.agent_pool_missing), pointer_to(names.agent_pool));
  if (pool) co_await require_usable(tx, *execution.agent_pool, owner, pointer_to(names.agent_pool));
  co_return true;
}

std::optional<std::string> valid_activity_duration(const json::value& given) {
  if (!given.is_string()) return std::nullopt;
  std::string_view text = given.get_string();
  const bool has_unit = text.ends_with('d') || text.ends_with('h');
  const std::string_view digits = text.substr(0, text.empty() ? 0 : text.size() - 1);
  const bool is_number = std::ranges::all_of(digits, [](char c) { return c >= '0' && c <= '9'; });
  if (has_unit && is_number && !digits.empty() && digits.size() <= 4) return std::nullopt;
  return "Auto destroy activity duration has an incorrect format, we expect up to 4 numeric digits and 1 "
         "unit "
         "('d' or 'h')";
}

}  // namespace terrane::organization
