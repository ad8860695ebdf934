#include <boost/asio/this_coro.hpp>

#include "api/api.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "state/state.h"
#include "state/state_sql.h"

namespace terrane::state {
namespace {

/// Counts inline states that are being decoded, so that their memory is bounded.
class Slot {
 public:
  explicit Slot(int& used) : used_(used) {
    if (used_ >= 2)
      throw Error(
          Code::rate_limited,
          "Too many inline states at once. Upload the state through hosted-state-upload-url, or try again.");
    ++used_;
  }
  ~Slot() { --used_; }
  Slot(const Slot&) = delete;
  Slot& operator=(const Slot&) = delete;

 private:
  int& used_;
};

/// Streams a string as an upload's body.
class StringSource : public http::ByteSource {
 public:
  explicit StringSource(std::string text) : text_(std::move(text)) {}
  Task<std::size_t> read(std::span<char> into) override {
    std::size_t count = std::min(into.size(), text_.size() - at_);
    std::copy_n(text_.data() + at_, count, into.data());
    at_ += count;
    co_return count;
  }

 private:
  std::string text_;
  std::size_t at_ = 0;
};

std::string conflict_text(Verdict verdict, const StateVersion& current) {
  if (verdict == Verdict::lineage_conflict) {
    return "The lineage differs from that of the current state (serial " + std::to_string(current.serial) +
           "). Use force to replace it.";
  }
  return "The serial must be greater than that of the current state, " + std::to_string(current.serial) +
         ", unless the state is the same. Use force to replace it.";
}

}  // namespace

void Api::add_routes(http::Router& router) {
  using http::Method;
  using Form = http::Shape::Form;
  router.add({Method::get, "/api/v2/state-versions", api::bind<&Api::list>(this)},
             {.query = "filter[workspace][name] filter[organization][name] filter[status] include"});
  router.add({Method::get, "/api/v2/workspaces/:id/state-versions", api::bind<&Api::list>(this)},
             {.query = "filter[status] include"});
  router.add({Method::post, "/api/v2/workspaces/:id/state-versions", api::bind<&Api::create>(this),
              48 * 1024 * 1024});
  router.add({Method::patch, "/api/v2/workspaces/:id/state-versions", api::bind<&Api::rollback>(this)},
             {Form::made, "state-versions", "state-rollbacks.create"});
  const std::string actions = "/api/v2/state-versions/:id/actions/";
  router.add({Method::post, actions + "soft_delete_backing_data", api::bind<&Api::soft_delete>(this)},
             {Form::nothing});
  router.add({Method::post, actions + "restore_backing_data", api::bind<&Api::restore>(this)},
             {Form::nothing});
  router.add(
      {Method::post, actions + "permanently_delete_backing_data", api::bind<&Api::permanently_delete>(this)},
      {Form::nothing});
  router.add({Method::get, "/api/v2/workspaces/:id/current-state-version", api::bind<&Api::current>(this)},
             {Form::one, "state-versions", "", "include"});
  router.add({Method::get, "/api/v2/workspaces/:id/current-state-version-outputs",
              api::bind<&Api::current_outputs>(this)},
             {Form::page, "state-version-outputs"});
  router.add({Method::get, "/api/v2/state-versions/:id", api::bind<&Api::show>(this)}, {.query = "include"});
  router.add({Method::get, "/api/v2/state-versions/:id/outputs", api::bind<&Api::outputs>(this)},
             {Form::page, "state-version-outputs"});
  router.add({Method::get, "/api/v2/state-versions/:id/download", api::bind<&Api::download>(this)},
             {Form::redirect});
  router.add({Method::get, "/api/v2/state-version-outputs/:id", api::bind<&Api::output>(this)});
  api::Includes& includes = needs_.includes;
  using Ids = std::vector<std::string>;
  includes.add_resource("state-versions", [this](postgres::Tx& tx, const api::Principal& principal,
                                                 const Ids& ids) { return load(tx, principal, ids); });
  includes.add_resource("state-version-outputs",
                        [this](postgres::Tx& tx, const api::Principal& principal, const Ids& ids) {
                          return load_outputs(tx, principal, ids);
                        });
  includes.add_relation(
      "workspaces", "outputs", {},
      [this](postgres::Tx& tx, const api::Principal& principal, std::span<json::object* const> workspaces) {
        return link_workspace_outputs(tx, principal, workspaces);
      });
  includes.add_relation("state-versions", "outputs", {"state-version-outputs"});
  includes.add_relation("state-versions", "run", {"runs"});
  includes.add_relation("state-versions", "created_by", {"users"});
  includes.add_relation("state-versions", "workspace", {"workspaces"});
}

namespace {

/// How many instances of each type there are, by module or provider, as API v2 shows them: `null-resource`.
json::object counted_by(const json::value& resources, std::string_view member, std::string_view wrap) {
  json::object out;
  if (!resources.is_array()) return out;
  for (const json::value& item : resources.get_array()) {
    const json::object& resource = item.as_object();
    std::string group = find_string(resource, member).value_or("");
    if (!wrap.empty() && !group.starts_with(wrap)) group = std::string(wrap) + "[\"" + group + "\"]";
    std::string type = find_string(resource, "type").value_or("");
    std::ranges::replace(type, '_', '-');
    json::value& inside = out[group];
    if (!inside.is_object()) inside = json::object();
    json::value& count = inside.get_object()[type];
    const std::int64_t before = count.is_int64() ? count.get_int64() : 0;
    count = before + find_int(resource, "count").value_or(0);
  }
  return out;
}

/// Resources under management, as API v2 counts them: without those that stand for nothing.
std::int64_t managed_count(const json::value& resources) {
  std::int64_t count = 0;
  if (!resources.is_array()) return count;
  for (const json::value& item : resources.get_array()) {
    const std::string type = find_string(item.as_object(), "type").value_or("");
    if (type != "null_resource" && type != "terraform_data")
      count += find_int(item.as_object(), "count").value_or(0);
  }
  return count;
}

}  // namespace

json::object Api::document(const StateVersion& version, json::array outputs, bool may_upload) const {
  json::object out = jsonapi::encode(resource(), &version, version.id.text());
  json::object& attributes = out["attributes"].as_object();
  auto url = [&](object::Access access, const std::string& object) {
    auto life = access == object::Access::write ? object::upload_life : object::download_life;
    return needs_.origin + needs_.urls.path(access, Id<Object>(object), life);
  };
  if (version.status == "finalized" && version.backing) attributes["status"] = *version.backing;
  if (version.usable()) {
    attributes["hosted-state-download-url"] = url(object::Access::read, version.object);
    attributes["hosted-json-state-download-url"] =
        version.has_json ? json::value(url(object::Access::read, version.json_object.value()))
                         : json::value();
  }
  if (version.status == "pending" && may_upload) {
    attributes["hosted-state-upload-url"] = url(object::Access::write, version.object);
    if (version.json_object)
      attributes["hosted-json-state-upload-url"] = url(object::Access::write, *version.json_object);
  }
  const bool parsed = version.resources_processed && !version.parse_error;
  attributes["state-version"] = parsed ? json::value(4) : json::value();
  attributes["modules"] = counted_by(version.resources, "module", "");
  attributes["providers"] = counted_by(version.resources, "provider", "provider");
  attributes["billable-rum-count"] = parsed ? json::value(managed_count(version.resources)) : json::value();
  attributes["vcs-commit-sha"] = nullptr;
  attributes["vcs-commit-url"] = nullptr;
  auto link = [](std::string_view type, const std::optional<std::string>& id) {
    return json::object{
        {"data", id ? json::value(json::object{{"id", *id}, {"type", type}}) : json::value()}};
  };
  out["relationships"] = json::object{{"workspace", link("workspaces", version.workspace)},
                                      {"run", link("runs", version.run)},
                                      {"created-by", link("users", version.created_by)},
                                      {"outputs", json::object{{"data", std::move(outputs)}}}};
  if (version.rollback_of)
    out["relationships"].as_object()["rollback-state-version"] = link("state-versions", version.rollback_of);
  out["links"] = json::object{{"self", "/api/v2/state-versions/" + version.id.text()}};
  return out;
}

Task<json::array> Api::output_documents(postgres::Tx& tx, const std::string& state_version, bool reveal) {
  postgres::Result rows = co_await tx.run(sql::state_outputs, postgres::Params::of(state_version));
  co_return co_await output_documents(rows, reveal);
}

Task<json::array> Api::output_documents(const postgres::Result& rows, bool reveal) {
  std::vector<vault_client::Cipher> ciphers;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (reveal || !rows[i].boolean("sensitive"))
      ciphers.push_back({rows[i].string("sealed_value"), rows[i].string("id")});
  }
  std::vector<Secret> opened;
  if (!ciphers.empty()) opened = co_await needs_.vault.decrypt_all("terrane", std::move(ciphers));
  json::array out;
  std::size_t next = 0;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const postgres::Row row = rows[i];
    bool sensitive = row.boolean("sensitive");
    json::value value;
    if (reveal || !sensitive) value = parse_json(opened[next++].reveal(), 256);
    json::value detailed = row.is_null("detailed_type") ? json::value() : row.json("detailed_type");
    out.push_back(json::object{{"id", row.string("id")},
                               {"type", "state-version-outputs"},
                               {"attributes", json::object{{"name", row.string("name")},
                                                           {"sensitive", sensitive},
                                                           {"type", row.string("type")},
                                                           {"value", std::move(value)},
                                                           {"detailed-type", std::move(detailed)}}}});
  }
  co_return out;
}

Task<json::object> Api::full_document(postgres::Tx& tx, const StateVersion& version, bool may_upload) {
  std::vector<json::object> one = co_await documents(tx, {version}, may_upload);
  co_return std::move(one.front());
}

Task<std::vector<json::object>> Api::documents(postgres::Tx& tx, const std::vector<StateVersion>& versions,
                                               bool may_upload) {
  std::vector<std::string> ids;
  for (const StateVersion& version : versions) ids.push_back(version.id.text());
  postgres::Result rows = co_await tx.run(sql::state_output_ids, postgres::Params::of(ids));
  std::map<std::string, json::array> outputs;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    json::object identifier{{"id", rows[i].string("id")}, {"type", "state-version-outputs"}};
    outputs[rows[i].string("state_version_id")].push_back(std::move(identifier));
  }
  std::vector<json::object> out;
  for (const StateVersion& version : versions)
    out.push_back(document(version, std::move(outputs[version.id.text()]), may_upload));
  co_return out;
}

Task<std::vector<json::object>> Api::load(postgres::Tx& tx, const api::Principal& principal,
                                          const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::state_version_find_many, postgres::Params::of(ids));
  std::vector<std::string> workspaces;
  for (std::size_t i = 0; i < rows.size(); ++i) workspaces.push_back(rows[i].string("workspace_id"));
  auto visible = co_await workspace::find_visible(tx, principal, workspaces);
  std::vector<StateVersion> versions;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto seen = visible.find(rows[i].string("workspace_id"));
    if (seen != visible.end() && seen->second.access.read_state) versions.push_back(from_row(rows[i]));
  }
  co_return co_await documents(tx, versions, false);
}

Task<std::vector<json::object>> Api::load_outputs(postgres::Tx& tx, const api::Principal& principal,
                                                  const std::vector<std::string>& ids) {
  postgres::Result rows = co_await tx.run(sql::state_output_find_many, postgres::Params::of(ids));
  std::vector<std::string> workspaces;
  for (std::size_t i = 0; i < rows.size(); ++i) workspaces.push_back(rows[i].string("workspace_id"));
  auto visible = co_await workspace::find_visible(tx, principal, workspaces);
  json::array all = co_await output_documents(rows, false);
  std::vector<json::object> out;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    auto seen = visible.find(rows[i].string("workspace_id"));
    if (seen != visible.end() && seen->second.access.read_outputs)
      out.push_back(std::move(all[i].as_object()));
  }
  co_return out;
}

Task<http::Response> Api::list(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await needs_.database.begin();
  std::string id;
  if (request.path.starts_with("/api/v2/workspaces/")) {
    id = request.parameter("id");
  } else {
    auto name = request.query.find("filter[workspace][name]");
    auto organization = request.query.find("filter[organization][name]");
    if (!name || !organization)
      throw Error(Code::invalid,
                  "The filters filter[workspace][name] and filter[organization][name] are required.");
    postgres::Result found =
        co_await tx.run(sql::state_workspace_by_names, postgres::Params::of(*organization, *name));
    if (found.empty()) throw Error(Code::not_found, "");
    id = found[0].string("id");
  }
  auto seen = co_await workspace::require(tx, api::principal(request), id);
  if (!seen.access.read_state) throw Error(Code::not_found, "");
  std::optional<std::string> status = api::text_parameter(request, "filter[status]");
  postgres::Result rows =
      co_await tx.run(sql::state_version_list, postgres::Params::of(id, page.size, page.offset(), status));
  postgres::Result count = co_await tx.run(sql::state_version_count, postgres::Params::of(id, status));
  std::vector<StateVersion> versions;
  for (std::size_t i = 0; i < rows.size(); ++i) versions.push_back(from_row(rows[i]));
  json::array data;
  for (json::object& shown : co_await documents(tx, versions, false)) data.push_back(std::move(shown));
  co_return co_await needs_.includes.answer_list(request, tx, resource().type, std::move(data), page,
                                                 count[0].integer("total"));
}

Task<http::Response> Api::create(http::Request& request) {
  const api::Principal& principal = api::principal(request);
  // The header decides before the body is read: an inline state costs memory.
  std::optional<Slot> slot;
  if (!request.content_length || *request.content_length > 256 * 1024) slot.emplace(decoding_);
  json::object data = co_await api::read_data(request, "state-versions", 48 * 1024 * 1024);
  json::object empty;
  const json::object* given = find_object(data, "attributes");
  const json::object& attributes = given ? *given : empty;

  Identity identity;
  std::optional<std::int64_t> serial = find_int(attributes, "serial");
  std::optional<std::string> md5 = find_string(attributes, "md5");
  std::vector<Problem> problems;
  if (!serial || *serial < 0)
    problems.push_back({"param is missing or the value is empty: serial", "/data/attributes/serial"});
  if (!md5 || md5->size() != 32 || !from_hex(*md5)) {
    problems.push_back({"param is missing or the value is empty: md5 (the hexadecimal MD5 of the raw state)",
                        "/data/attributes/md5"});
  }
  for (std::string_view member : {"state", "json-state", "lineage"}) {
    const json::value* value = attributes.if_contains(member);
    if (value && !value->is_null() && !value->is_string())
      problems.push_back({"The value must be a string.", "/data/attributes/" + std::string(member)});
  }
  std::optional<std::string> lineage = find_string(attributes, "lineage");
  // It stands in the header of the state's bytes.
  if (lineage && lineage->size() > lineage_limit)
    problems.push_back({"A lineage has at most 1024 bytes.", "/data/attributes/lineage"});
  const json::value* forced = attributes.if_contains("force");
  if (forced && !forced->is_null() && !forced->is_bool())
    problems.push_back({"The value must be true or false.", "/data/attributes/force"});
  std::optional<std::string> text = find_string(attributes, "state");
  std::optional<std::string> raw;
  if (text) {
    raw = from_base64(*text);
    if (!raw)
      problems.push_back({"The state must be base64.", "/data/attributes/state"});
    else if (static_cast<std::int64_t>(raw->size()) > inline_limit) {
      throw Error(Code::too_large,
                  "An inline state has at most 16 MiB. Create the version without 'state' and PUT the bytes "
                  "to its hosted-state-upload-url.");
    }
  }
  std::optional<std::string> json_state;
  if (auto inline_json = find_string(attributes, "json-state")) {
    json_state = from_base64(*inline_json);
    if (!json_state) problems.push_back({"The JSON state must be base64.", "/data/attributes/json-state"});
  }
  if (!problems.empty()) throw Error(Code::unprocessable, std::move(problems));
  identity = {*serial, lineage, lower(*md5)};
  if (raw && hex(crypto::hash(crypto::HashKind::md5, *raw)) != identity.md5) {
    throw Error(Code::unprocessable, "The md5 is not that of the state.", "/data/attributes/md5");
  }
  bool force = find_bool(attributes, "force").value_or(false);
  std::optional<std::string> run = jsonapi::related_id(data, "run");

  Id<StateVersion> id = Id<StateVersion>::make();
  Id<Object> object = Id<Object>::make();
  Id<Object> json_object = Id<Object>::make();
  {
    postgres::Tx tx = co_await needs_.database.begin();
    auto seen = co_await workspace::require(tx, principal, request.parameter("id"), workspace::RowLock::yes);
    if (!seen.access.write_state) throw Error(Code::not_found, "");
    require_lock_of(principal, seen.workspace);
    if (run) {
      postgres::Result known =
          co_await tx.run(sql::state_run_of_workspace, postgres::Params::of(*run, seen.workspace.id));
      if (known.empty())
        throw Error(Code::unprocessable, "There is no such run in this workspace.",
                    "/data/relationships/run/data/id");
    }
    if (seen.workspace.current_state_version) {
      std::optional<StateVersion> current = co_await find(tx, *seen.workspace.current_state_version);
      if (current) {
        Verdict verdict = judge(Identity{current->serial, current->lineage, current->md5}, identity, force);
        if (verdict != Verdict::accept) throw Error(Code::conflict, conflict_text(verdict, *current));
      }
    }
    co_await object::insert(tx, object, "state", seen.workspace.id.text(), facts_of(identity, run));
    co_await object::insert(tx, json_object, "json-state", seen.workspace.id.text());
    std::optional<std::int64_t> size;
    co_await tx.run(
        sql::state_version_insert,
        postgres::Params::of(id, seen.workspace.id, run, std::nullopt, identity.serial, identity.lineage,
                             identity.md5, size, "pending", false, false, object, json_object, principal.id));
    co_await tx.commit();
  }
  if (raw) {
    // The inline form is the upload made on the caller's behalf: bytes are durable before the version is
    // current. The raw state comes last, since with it the version is there.
    std::exception_ptr failure;
    try {
      if (json_state) {
        StringSource json_source(*std::move(json_state));
        co_await needs_.archivist.put_plain(json_object, json_source);
      }
      StringSource source(*std::move(raw));
      object::ArchivistClient::Stored stored = co_await needs_.archivist.put_plain(object, source);
      postgres::Tx tx = co_await needs_.database.begin();
      co_await on_uploaded(tx, object, stored.md5, stored.size);
      co_await tx.commit();
    } catch (const Error&) {
      failure = std::current_exception();
    }
    if (failure) {
      // Nobody will upload it any more, and a pending version would keep the workspace from being unlocked.
      // When nothing was pending any more, the version was made current after all.
      postgres::Result discarded =
          co_await needs_.database.query(sql::state_version_discard, postgres::Params::of(id));
      if (discarded.affected() == 1) std::rethrow_exception(failure);
    }
  }
  postgres::Tx tx = co_await needs_.database.begin();
  std::optional<StateVersion> made = co_await find(tx, id.text());
  if (!made) throw Error(Code::not_found, "");
  json::object shown = co_await full_document(tx, *made, true);
  co_return api::answer(201, jsonapi::document(std::move(shown)));
}

Task<http::Response> Api::show(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  std::optional<StateVersion> version = co_await find(tx, request.parameter("id"));
  if (!version) throw Error(Code::not_found, "");
  auto seen = co_await workspace::require(tx, api::principal(request), version->workspace);
  if (!seen.access.read_state) throw Error(Code::not_found, "");
  json::object shown = co_await full_document(tx, *version, seen.access.write_state);
  co_return co_await needs_.includes.answer(request, tx, 200, std::move(shown));
}

Task<http::Response> Api::current(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  auto seen = co_await workspace::require(tx, api::principal(request), request.parameter("id"));
  if (!seen.access.read_state || !seen.workspace.current_state_version) throw Error(Code::not_found, "");
  std::optional<StateVersion> version = co_await find(tx, *seen.workspace.current_state_version);
  if (!version) throw Error(Code::not_found, "");
  json::object shown = co_await full_document(tx, *version, false);
  co_return co_await needs_.includes.answer(request, tx, 200, std::move(shown));
}

Task<http::Response> Api::outputs(http::Request& request) {
  jsonapi::Page page = api::page(request);
  postgres::Tx tx = co_await needs_.database.begin();
  std::optional<StateVersion> version = co_await find(tx, request.parameter("id"));
  if (!version) throw Error(Code::not_found, "");
  auto seen = co_await workspace::require(tx, api::principal(request), version->workspace);
  if (!seen.access.read_outputs) throw Error(Code::not_found, "");
  // Who may read the state has the sensitive values anyway.
  json::array outputs = co_await output_documents(tx, version->id.text(), seen.access.read_state);
  std::int64_t total = static_cast<std::int64_t>(outputs.size());
  json::array shown = jsonapi::slice(std::move(outputs), page);
  co_return api::answer(200, jsonapi::list_document(std::move(shown), page, total, request.path));
}

Task<http::Response> Api::current_outputs(http::Request& request) {
  jsonapi::Page page = api::page(request);
  const auto deadline = net::Clock::now() + std::chrono::seconds(5);
  // Parsing is asynchronous: an empty list for a state that has outputs would be a lie, so the answer waits.
  while (true) {
    {
      postgres::Tx tx = co_await needs_.database.begin();
      auto seen = co_await workspace::require(tx, api::principal(request), request.parameter("id"));
      if (!seen.access.read_outputs) throw Error(Code::not_found, "");
      postgres::Result rows =
          co_await tx.run(sql::state_current_parsed, postgres::Params::of(seen.workspace.id));
      if (rows.empty() || rows[0].is_null("id")) {
        co_return api::answer(200, jsonapi::list_document({}, page, 0, request.path));
      }
      if (rows[0].boolean("resources_processed")) {
        json::array outputs = co_await output_documents(tx, rows[0].string("id"), false);
        std::int64_t total = static_cast<std::int64_t>(outputs.size());
        // The CLI asks once, without a page, and must get them all.
        if (!request.query.find("page[number]") && !request.query.find("page[size]"))
          page.size = std::max(page.size, total);
        json::array shown = jsonapi::slice(std::move(outputs), page);
        co_return api::answer(200, jsonapi::list_document(std::move(shown), page, total, request.path));
      }
    }
    if (net::Clock::now() > deadline)
      throw Error(Code::unavailable, "The current state is still being parsed. Try again.");
    co_await net::sleep_for(std::chrono::milliseconds(50));
  }
}

Task<http::Response> Api::output(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  postgres::Result rows =
      co_await tx.run(sql::state_output_find, postgres::Params::of(request.parameter("id")));
  if (rows.empty()) throw Error(Code::not_found, "");
  auto seen = co_await workspace::require(tx, api::principal(request), rows[0].string("workspace_id"));
  if (!seen.access.read_outputs) throw Error(Code::not_found, "");
  json::array all = co_await output_documents(tx, rows[0].string("state_version_id"), true);
  for (json::value& output : all) {
    if (output.at("id").as_string() == request.parameter("id"))
      co_return api::answer(200, jsonapi::document(output.as_object()));
  }
  throw Error(Code::not_found, "");
}

Task<http::Response> Api::download(http::Request& request) {
  postgres::Tx tx = co_await needs_.database.begin();
  std::optional<StateVersion> version = co_await find(tx, request.parameter("id"));
  if (!version) throw Error(Code::not_found, "");
  auto seen = co_await workspace::require(tx, api::principal(request), version->workspace);
  if (!seen.access.read_state || !version->usable()) throw Error(Code::not_found, "");
  http::Response response;
  response.status = 302;
  response.headers.set("Location",
                       needs_.origin + needs_.urls.path(object::Access::read, Id<Object>(version->object),
                                                        object::download_life));
  co_return response;
}

}  // namespace terrane::state
