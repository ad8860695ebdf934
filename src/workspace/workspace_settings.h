#pragma once
#include <optional>
#include <string>

#include "base/json.h"
#include "jsonapi/resource.h"
#include "workspace/workspace.h"

namespace terrane::workspace {

/// Takes what a request's `data` says into the workspace (which knows its organization, and its project
/// when it has one) and returns the columns that change: its attributes, the project of its relation, where
/// its runs execute. Settings that exclude each other are brought in line as far as the request leaves that
/// open. Throws Error{unprocessable} with a pointer on a value or a combination that cannot be,
/// Error{not_found} on a project that is not there.
Task<json::object> settle(postgres::Tx& tx, const json::object& data, jsonapi::Flag when,
                          Workspace& workspace);

// Rules of single settings; each returns what is wrong, or nothing.
std::optional<std::string> plausible_version(
    const json::value& given);  ///< `1.9.0`, a constraint such as `~> 1.9, != 1.9.3`, or `latest`
std::optional<std::string> inner_path(
    const json::value& given);  ///< a relative path that stays inside the configuration
std::optional<std::string> path_list(const json::value& given);  ///< at most 100 texts of at most 1024 bytes

}  // namespace terrane::workspace
