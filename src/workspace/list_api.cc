#include "base/text.h"
#include "workspace/workspace_api.h"
#include "workspace/workspace_sql.h"

namespace terrane::workspace {
namespace {

/// `*` stands for any text; everything else for itself.
std::optional<std::string> like_pattern(const std::optional<std::string>& wildcard) {
  if (!wildcard) return std::nullopt;
  std::string out;
  for (char c : *wildcard) {
    if (c == '%' || c == '_' || c == '\\') out += '\\';
    out += c == '*' ? '%' : c;
  }
  return out;
}

/// What a list looks for beyond the usual.
struct Search {
  std::optional<std::string> name, pattern;
  std::optional<std::vector<std::string>> statuses;
  std::vector<std::string> tags, without_tags;
  std::vector<api::TagFilter> bindings;
  std::string order;  ///< as the statements name it

  bool is_usual() const {
    return !name && !pattern && !statuses && tags.empty() && without_tags.empty() && bindings.empty() &&
           (order.empty() || order == "name");
  }
};

Search search_of(const http::Request& request) {
  Search search;
  search.name = api::text_parameter(request, "search[name]");
  search.pattern = like_pattern(api::text_parameter(request, "search[wildcard-name]"));
  search.statuses = api::opt_list_parameter(request, "filter[current-run][status]");
  search.tags = api::list_parameter(request, "search[tags]");
  search.without_tags = api::list_parameter(request, "search[exclude-tags]");
  search.bindings = api::tag_filters(request);
  const api::Sort order =
      api::sort(request, {"name", "current-run.created-at", "latest-change-at"}, {"created-at"});
  if (order.key != "created-at") {
    search.order = order.descending ? "-" : "";
    search.order += order.key == "name" ? "name" : order.key == "latest-change-at" ? "change" : "run";
  }
  return search;
}

}  // namespace

Task<http::Response> Api::list(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  const Search search = search_of(request);
  const std::optional<std::string> project = api::text_parameter(request, "filter[project][id]");
  const api::Principal& principal = api::principal(request);
  postgres::Tx tx = co_await database_.begin();
  auto organization =
      co_await organization::require_organization(tx, principal, request.parameter("organization"));
  const organization::ReadableScope scope =
      co_await organization::readable_scope(tx, principal, organization.id);
  postgres::Params params =
      postgres::Params::of(organization.id, project, scope.all_workspaces, scope.projects, scope.workspaces);
  const postgres::Params usual = params;
  for (const std::optional<std::string>& text : {search.name, search.pattern}) params.add(text);
  params.add(search.statuses);
  params.add(search.tags);
  params.add(search.without_tags);
  params.add(api::to_json(search.bindings));

  std::int64_t total = 0;
  if (search.is_usual() && scope.all_workspaces) {
    postgres::Result count =
        co_await tx.run(sql::workspace_total, postgres::Params::of(organization.id, project));
    total = count[0].integer("total");
  } else {
    postgres::Result count = co_await tx.run(sql::workspace_search_count, params);
    total = count[0].integer("total");
  }
  if (search.is_usual()) {
    params = usual;
  } else {
    params.add(search.order);
  }
  params.add(page.size);
  params.add(page.offset());
  const Statement& usual_list = search.order.empty() ? sql::workspace_list : sql::workspace_list_by_name;
  postgres::Result rows =
      co_await tx.run(search.is_usual() ? usual_list : sql::workspace_search, std::move(params));
  json::array data = co_await visible_documents(tx, principal, rows);
  co_return co_await includes_.answer_list(request, tx, "workspaces", std::move(data), page, total);
}

namespace {

/// `hashicorp/aws` of `provider["registry.terraform.io/hashicorp/aws"]`.
std::string provider_name(std::string_view address) {
  const std::size_t from = address.find('"'), to = address.rfind('"');
  if (from != std::string_view::npos && from < to) address = address.substr(from + 1, to - from - 1);
  const std::vector<std::string_view> parts = split(address, '/');
  if (parts.size() < 2) return std::string(address);
  return std::string(parts[parts.size() - 2]) + "/" + std::string(parts.back());
}

/// `a.b` of `module.a.module.b`, `root` of the root module.
std::string module_name(std::string_view address) {
  std::string out;
  for (std::string_view part : split(address, '.')) {
    if (part == "module") continue;
    if (!out.empty()) out += '.';
    out += part;
  }
  return out;
}

json::object resource_document(const postgres::Row& row) {
  const json::value found = row.json("resource");
  const json::object& resource = found.as_object();
  auto text = [&](std::string_view name) { return find_string(resource, name).value_or(""); };
  const std::string module = module_name(text("module"));
  std::string address = text("type") + "." + text("name");
  if (module != "root") address = module + "." + address;
  std::optional<std::string> index;
  if (!row.is_null("key")) {
    index = json::serialize(row.json("key"));
    address += "[" + *index + "]";
  }
  const std::string provider = provider_name(text("provider"));
  const std::string at = iso8601(row.time("created_at"));
  const std::string state = row.string("state_version_id");
  return {{"id", "wsr-" + state.substr(state.find('-') + 1) + "-" + std::to_string(row.integer("number")) +
                     "-" + std::to_string(row.integer("instance"))},
          {"type", "resources"},
          {"attributes", json::object{{"address", address},
                                      {"name", text("name")},
                                      {"created-at", at},
                                      {"updated-at", at},
                                      {"module", module},
                                      {"provider", provider},
                                      {"provider-type", text("type")},
                                      {"modified-by-state-version-id", state},
                                      {"name-index", index ? json::value(*index) : json::value()}}}};
}

}  // namespace

Task<http::Response> Api::resources(http::Request& request) {
  const jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await database_.begin();
  Visible seen = co_await require(tx, api::principal(request), request.parameter("id"));
  if (!seen.access.read_state) throw Error(Code::not_found, "");
  postgres::Result rows = co_await tx.run(sql::workspace_resources,
                                          postgres::Params::of(seen.workspace.id, page.size, page.offset()));
  json::array data;
  for (std::size_t i = 0; i < rows.size(); ++i) data.push_back(resource_document(rows[i]));
  co_return api::answer(
      200, jsonapi::list_document(std::move(data), page, seen.workspace.resource_count, request.path));
}

}  // namespace terrane::workspace
