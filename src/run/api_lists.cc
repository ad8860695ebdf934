// Lists of runs: of a workspace, of an organization, and of those that wait.
#include "base/text.h"
#include "run/api.h"
#include "run/run_sql.h"

namespace terrane::run {
namespace {

/// The statuses of a group.
std::vector<std::string> statuses_of(std::string_view group) {
  std::vector<std::string> out;
  for (Status status : all_statuses) {
    const bool in = group == "final"         ? is_final(status)
                    : group == "non_final"   ? !is_final(status)
                    : group == "discardable" ? is_discardable(status)
                                             : throw Error(Code::invalid,
                                                           "filter[status_group] must be non_final, final or "
                                                           "discardable.");
    if (in) out.emplace_back(name(status));
  }
  return out;
}

/// The statuses that filter[status] and filter[status_group] leave; nothing when neither is given.
std::optional<std::vector<std::string>> statuses(const http::Request& request) {
  std::optional<std::vector<std::string>> named = api::opt_list_parameter(request, "filter[status]");
  std::optional<std::string> group = api::text_parameter(request, "filter[status_group]");
  if (!group) return named;
  std::vector<std::string> of_group = statuses_of(*group);
  if (!named) return of_group;
  std::erase_if(*named, [&](const std::string& status) {
    return std::ranges::find(of_group, status) == of_group.end();
  });
  return named;
}

/// A year, or `year` for the last twelve months; 0 for the latter.
std::optional<std::int64_t> timeframe(const http::Request& request) {
  std::optional<std::string> given = api::text_parameter(request, "filter[timeframe]");
  if (!given) return std::nullopt;
  if (*given == "year") return 0;
  std::optional<std::int64_t> year = parse_int(*given);
  if (!year || *year < 1970 || *year > 9999)
    throw Error(Code::invalid, "filter[timeframe] must be a year such as 2025, or 'year' for the last one.");
  return year;
}

/// The part of a statement's parameters that all lists share, from $2 on.
void add_filters(postgres::Params& params, const http::Request& request,
                 std::optional<std::int64_t> default_timeframe, bool plan_only_too) {
  std::optional<std::int64_t> frame = timeframe(request);
  std::optional<std::string> user = api::text_parameter(request, "search[user]");
  std::optional<std::string> commit = api::text_parameter(request, "search[commit]");
  std::optional<std::string> basic = api::text_parameter(request, "search[basic]");
  if (user || commit) basic.reset();
  params.add(statuses(request));
  params.add(api::opt_list_parameter(request, "filter[source]"));
  params.add(api::opt_list_parameter(request, "filter[operation]"));
  params.add(frame ? frame : default_timeframe);
  params.add(user);
  params.add(commit);
  params.add(basic);
  params.add(plan_only_too);
}

}  // namespace

Task<http::Response> Api::list(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await needs_.database.begin();
  auto place = co_await workspace::require(tx, api::principal(request), request.parameter("id"));
  postgres::Params params = postgres::Params::of(place.workspace.id);
  add_filters(params, request, std::nullopt, false);
  postgres::Result count = co_await tx.run(sql::run_count, params);
  params.add(page.size);
  params.add(page.offset());
  postgres::Result rows = co_await tx.run(sql::run_list, params);
  std::vector<Seen> all;
  for (std::size_t i = 0; i < rows.size(); ++i)
    all.push_back(Seen{run_from_row(rows[i]), place.workspace, place.access});
  json::array data;
  for (json::object& shown : co_await documents(tx, all)) data.push_back(std::move(shown));
  co_return co_await needs_.includes.answer_list(request, tx, resource().type, std::move(data), page,
                                                 count[0].integer("total"));
}

Task<std::vector<std::optional<Api::Seen>>> Api::visible_rows(postgres::Tx& tx, const http::Request& request,
                                                              const postgres::Result& rows) {
  Ids workspaces;
  for (std::size_t i = 0; i < rows.size(); ++i) workspaces.push_back(rows[i].string("workspace_id"));
  auto visible = co_await workspace::find_visible(tx, api::principal(request), workspaces);
  std::vector<std::optional<Seen>> out(rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto found = visible.find(workspaces[i]);
    if (found != visible.end())
      out[i] = Seen{run_from_row(rows[i]), found->second.workspace, found->second.access};
  }
  co_return out;
}

Task<http::Response> Api::list_of_organization(http::Request& request) {
  constexpr std::int64_t batch = 100, last_twelve_months = 0;
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await needs_.database.begin();
  auto organization = co_await organization::require_organization(tx, api::principal(request),
                                                                  request.parameter("organization"));
  // Nobody counts these runs, so the page is found by walking over those that the caller may see.
  std::vector<Seen> all;
  std::int64_t passed = 0;
  std::optional<std::int64_t> before;
  bool more = false;
  while (!more) {
    postgres::Params params = postgres::Params::of(organization.id);
    add_filters(params, request, last_twelve_months, true);
    params.add(api::opt_list_parameter(request, "filter[workspace_names]"));
    params.add(before);
    params.add(batch);
    postgres::Result rows = co_await tx.run(sql::run_list_of_organization, params);
    for (std::optional<Seen>& seen : co_await visible_rows(tx, request, rows)) {
      if (!seen || more || passed++ < page.offset()) continue;
      more = static_cast<std::int64_t>(all.size()) == page.size;
      if (!more) all.push_back(*std::move(seen));
    }
    if (static_cast<std::int64_t>(rows.size()) < batch) break;
    before = rows[rows.size() - 1].integer("position");
  }
  json::array data;
  for (json::object& shown : co_await documents(tx, all)) data.push_back(std::move(shown));
  co_return co_await needs_.includes.answer_page(request, tx, resource().type, std::move(data), page, more);
}

Task<http::Response> Api::queue(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await needs_.database.begin();
  auto organization = co_await organization::require_organization(tx, api::principal(request),
                                                                  request.parameter("organization"));
  const organization::ReadableScope scope =
      co_await organization::readable_scope(tx, api::principal(request), organization.id);
  postgres::Result rows = co_await tx.run(
      sql::run_queue, postgres::Params::of(organization.id, page.size, page.offset(), scope.all_workspaces,
                                           scope.projects, scope.workspaces));
  std::vector<Seen> all;
  std::vector<std::int64_t> positions;
  std::int64_t position = page.offset();
  for (std::optional<Seen>& seen : co_await visible_rows(tx, request, rows)) {
    if (seen) {
      all.push_back(*std::move(seen));
      positions.push_back(position);
    }
    ++position;
  }
  json::array data;
  for (json::object& shown : co_await documents(tx, all)) data.push_back(std::move(shown));
  for (std::size_t i = 0; i < data.size(); ++i)
    data[i].as_object()["attributes"].as_object()["position-in-queue"] = positions[i];
  // A page past the end has no rows that could tell.
  postgres::Result count = co_await tx.run(
      sql::run_capacity,
      postgres::Params::of(organization.id, scope.all_workspaces, scope.projects, scope.workspaces));
  const std::int64_t total = count[0].integer("pending");
  co_return co_await needs_.includes.answer_list(request, tx, resource().type, std::move(data), page, total);
}

Task<http::Response> Api::capacity(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  auto organization = co_await organization::require_organization(tx, api::principal(request),
                                                                  request.parameter("organization"));
  const organization::ReadableScope scope =
      co_await organization::readable_scope(tx, api::principal(request), organization.id);
  postgres::Result rows = co_await tx.run(
      sql::run_capacity,
      postgres::Params::of(organization.id, scope.all_workspaces, scope.projects, scope.workspaces));
  json::object document{{"id", organization.name},
                        {"type", "organization-capacity"},
                        {"attributes", json::object{{"pending", rows[0].integer("pending")},
                                                    {"running", rows[0].integer("running")}}}};
  co_return api::answer(200, jsonapi::document(std::move(document)));
}

}  // namespace terrane::run
