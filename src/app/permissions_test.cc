// Every route as every kind of principal, with ids of its own organization and of another, against the tables
// in docs/permissions.md. Whoever may not gets 404. What `allowed` means is that the permission let the call
// pass: any answer but 401, 404 and 5xx, since a conflict comes after the permission.
#include <fstream>
#include <gtest/gtest.h>
#include <optional>
#include <sstream>

#include "api/testing_client.h"
#include "app/roles/web_domains.h"
#include "base/text.h"
#include "testing/run.h"
#include "testing/test_database.h"
#include "vault_client/fake_vault.h"

namespace terrane::app {
namespace {

using http::Method;

/// A principal of the table's columns, and whose token it has. `@` stands for the organization's letter.
struct Who {
  const char* column;
  const char* kind;
  const char* id;
};
constexpr Who principals[]{
    {"admin", "user", "user-admin"},        {"owner", "user", "user-owner@"},
    {"manager", "user", "user-manager@"},   {"teams", "user", "user-teams@"},
    {"people", "user", "user-people@"},     {"modules", "user", "user-modules@"},
    {"maintain", "user", "user-maintain@"}, {"ws-admin", "user", "user-wsadmin@"},
    {"write", "user", "user-write@"},       {"plan", "user", "user-plan@"},
    {"read", "user", "user-read@"},         {"custom", "user", "user-custom@"},
    {"member", "user", "user-member@"},     {"organization", "organization", "org-@"},
    {"team", "team", "team-write@"},        {"run", "run", "run-1@"},
    {"audit", "audit-trails", "org-@"},
};

/// What one organization has; `@` is its letter, `%` its name, `^` an `@`.
constexpr std::string_view organization_rows = R"sql(
  INSERT INTO terrane.organizations (id, name, email) VALUES ('org-@', '%', '%@x');
  INSERT INTO terrane.users (id, username, email, password_hash)
    SELECT 'user-' || n || '@', n || '@', n || '@x', 'h'
      FROM unnest(ARRAY['owner', 'manager', 'teams', 'people', 'modules', 'maintain', 'wsadmin', 'write', 'plan', 'read', 'custom', 'member', 'crew']) n;
  INSERT INTO terrane.teams (id, organization_id, name, visibility)
    SELECT 'team-' || n || '@', 'org-@', n, CASE n WHEN 'crew' THEN 'organization' ELSE 'secret' END
      FROM unnest(ARRAY['owners', 'manager', 'teams', 'people', 'modules', 'maintain', 'wsadmin', 'write', 'plan', 'read', 'custom', 'crew']) n;
  UPDATE terrane.teams SET manage_workspaces = true WHERE id = 'team-manager@';
  UPDATE terrane.teams SET manage_teams = true WHERE id = 'team-teams@';
  UPDATE terrane.teams SET manage_membership = true WHERE id = 'team-people@';
  UPDATE terrane.teams SET manage_modules = true WHERE id = 'team-modules@';
  INSERT INTO terrane.team_members (team_id, user_id) VALUES ('team-owners@', 'user-owner@');
  INSERT INTO terrane.team_members (team_id, user_id)
    SELECT 'team-' || n || '@', 'user-' || n || '@'
      FROM unnest(ARRAY['manager', 'teams', 'people', 'modules', 'maintain', 'wsadmin', 'write', 'plan', 'read', 'custom', 'crew']) n;
  INSERT INTO terrane.organization_memberships (id, organization_id, user_id) VALUES ('ou-member@', 'org-@', 'user-member@');
  UPDATE terrane.organization_memberships SET id = 'ou-crew@' WHERE user_id = 'user-crew@';
  INSERT INTO terrane.projects (id, organization_id, name, is_default) VALUES ('prj-1@', 'org-@', 'Default Project', true);
  INSERT INTO terrane.workspaces (id, organization_id, project_id, name) VALUES
    ('ws-1@', 'org-@', 'prj-1@', 'one'), ('ws-2@', 'org-@', 'prj-1@', 'two'),
    ('ws-3@', 'org-@', 'prj-1@', 'three');
  INSERT INTO terrane.team_workspaces (id, team_id, workspace_id, access, runs, variables, state_versions, sentinel_mocks, workspace_locking, run_tasks) VALUES
    ('tws-a@', 'team-wsadmin@', 'ws-1@', 'admin', 'apply', 'write', 'write', 'read', true, true),
    ('tws-s@', 'team-wsadmin@', 'ws-3@', 'custom', 'read', 'none', 'none', 'none', false, false),
    ('tws-w@', 'team-write@', 'ws-1@', 'write', 'apply', 'write', 'write', 'read', true, false),
    ('tws-p@', 'team-plan@', 'ws-1@', 'plan', 'plan', 'read', 'read', 'none', false, false),
    ('tws-r@', 'team-read@', 'ws-1@', 'read', 'read', 'read', 'read', 'none', false, false),
    ('tws-c@', 'team-custom@', 'ws-1@', 'custom', 'read', 'none', 'none', 'none', false, false),
    ('tws-1@', 'team-crew@', 'ws-1@', 'read', 'read', 'read', 'read', 'none', false, false);
  INSERT INTO terrane.team_projects (id, team_id, project_id, access, settings, teams, variable_sets, runs, variables, state_versions,
      sentinel_mocks, create_workspaces, locking, move_workspaces, delete_workspaces, run_tasks) VALUES
    ('tprj-m@', 'team-maintain@', 'prj-1@', 'maintain', 'read', 'none', 'write', 'apply', 'write', 'write', 'read', true, true, false, true, false),
    ('tprj-1@', 'team-crew@', 'prj-1@', 'read', 'read', 'none', 'none', 'read', 'read', 'read', 'none', false, false, false, false, false);
  INSERT INTO terrane.objects (id, kind, workspace_id, workspace, status, size, md5)
    SELECT 'obj-' || n || '@', n, 'ws-1@', 'ws-1@', 'live', 10, 'm' FROM unnest(ARRAY['configuration', 'log', 'plan-json', 'schemas', 'state', 'old-configuration', 'old-state']) n;
  INSERT INTO terrane.configuration_versions (id, workspace_id, status, object_id, created_at) VALUES
    ('cv-0@', 'ws-1@', 'uploaded', 'obj-old-configuration@', now() - interval '1 hour'), ('cv-1@', 'ws-1@', 'uploaded', 'obj-configuration@', now());
  INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, status, message, terraform_version, epoch)
    VALUES ('run-1@', 'ws-1@', 'cv-1@', 'applied', 'm', '1.0.0', 1);
  INSERT INTO terrane.plans (id, run_id, log_id, status, json_object_id, schemas_object_id)
    VALUES ('plan-1@', 'run-1@', 'obj-log@', 'finished', 'obj-plan-json@', 'obj-schemas@');
  INSERT INTO terrane.applies (id, run_id, log_id, status, import_list) VALUES ('apply-1@', 'run-1@', 'obj-log@', 'finished', 'import {}');
  INSERT INTO terrane.run_events (id, run_id, action) VALUES ('re-1@', 'run-1@', 'queued');
  INSERT INTO terrane.comments (id, run_id, body, created_by) VALUES ('wsc-1@', 'run-1@', 'c', 'user-owner@');
  INSERT INTO terrane.state_versions (id, workspace_id, run_id, serial, md5, status, object_id, resources_processed)
    VALUES ('sv-0@', 'ws-1@', 'run-1@', 0, 'm', 'finalized', 'obj-old-state@', true), ('sv-1@', 'ws-1@', 'run-1@', 1, 'm', 'finalized', 'obj-state@', true);
  INSERT INTO terrane.state_version_outputs (id, state_version_id, name, sensitive, type, sealed_value)
    VALUES ('wsout-1@', 'sv-1@', 'o', false, 'string', '{sealed}');
  UPDATE terrane.workspaces SET current_state_version_id = 'sv-1@', current_run_id = 'run-1@' WHERE id = 'ws-1@';
  INSERT INTO terrane.variables (id, workspace_id, key, sealed_value, category, sensitive, version_id)
    VALUES ('var-1@', 'ws-1@', 'k', 'v', 'terraform', true, 'v');
  INSERT INTO terrane.tokens (id, kind, owner_id, hash, description) VALUES
    ('at-target@', 'user', 'user-owner@', 'target@', 'd'), ('at-crew@', 'team', 'team-crew@', 'crew@', NULL),
    ('at-own@', 'organization', 'org-@', 'own@', 'd');
  INSERT INTO terrane.subscriptions (id, organization_id, feature_set_id) SELECT 'sub-1@', 'org-@', id FROM terrane.feature_sets WHERE identifier = 'business';
  INSERT INTO terrane.agent_pools (id, organization_id, name) VALUES ('apool-1@', 'org-@', 'pool');
  INSERT INTO terrane.ssh_keys (id, organization_id, name, sealed_value) VALUES ('sshkey-1@', 'org-@', 'key', 'v');
  INSERT INTO terrane.variable_sets (id, organization_id, name) VALUES ('varset-1@', 'org-@', 'set');
  INSERT INTO terrane.variables (id, variable_set_id, key, sealed_value, category, sensitive, version_id)
    VALUES ('var-s@', 'varset-1@', 'k', 'v', 'terraform', true, 'v');
  INSERT INTO terrane.organization_retention_policies (id, organization_id) VALUES ('drp-1@', 'org-@');
  INSERT INTO terrane.workspace_retention_policies (id, workspace_id) VALUES ('drp-2@', 'ws-1@');
  INSERT INTO terrane.tags (id, organization_id, name) VALUES ('tag-1@', 'org-@', 'blue');
  INSERT INTO terrane.workspace_tags (workspace_id, tag_id) VALUES ('ws-1@', 'tag-1@');
  INSERT INTO terrane.tag_bindings (id, project_id, workspace_id, key) VALUES ('tb-1@', 'prj-1@', NULL, 'p'), ('tb-2@', NULL, 'ws-1@', 'w');
  INSERT INTO terrane.run_triggers (id, workspace_id, sourceable_id) VALUES ('rt-1@', 'ws-1@', 'ws-2@');
  INSERT INTO terrane.registry_modules (id, organization_id, registry_name, namespace, name, provider)
    VALUES ('mod-1@', 'org-@', 'private', '%', 'network', 'aws');
)sql";

constexpr std::string_view common_rows = R"sql(
  INSERT INTO terrane.installation (id, mode, hostname, system_identifier, timeline) VALUES ('i', 'demo', 'terrane.test', 's', 1);
  INSERT INTO terrane.users (id, username, email, is_site_admin) VALUES ('user-admin', 'admin', 'admin@root', true);
  INSERT INTO terrane.terraform_versions (id, version) VALUES ('tool-1', '1.0.0');
)sql";

/// What stands in a path for the parameter after a part.
std::optional<std::string> id_after(std::string_view part) {
  static const std::map<std::string_view, std::string_view> ids{
      {"organizations", "%"},
      {"users", "user-owner@"},
      {"authentication-tokens", "at-target@"},
      {"organization-memberships", "ou-crew@"},
      {"teams", "team-crew@"},
      {"projects", "prj-1@"},
      {"team-projects", "tprj-1@"},
      {"team-workspaces", "tws-1@"},
      {"workspaces", "ws-1@"},
      {"vars", "var-1@"},
      {"agent-pools", "apool-1@"},
      {"ssh-keys", "sshkey-1@"},
      {"varsets", "varset-1@"},
      {"subscriptions", "sub-1@"},
      {"configuration-versions", "cv-1@"},
      {"state-versions", "sv-1@"},
      {"state-version-outputs", "wsout-1@"},
      {"runs", "run-1@"},
      {"run-events", "re-1@"},
      {"comments", "wsc-1@"},
      {"run-triggers", "rt-1@"},
      {"tags", "tag-1@"},
      {"registry-modules", "mod-1@"},
      {"plans", "plan-1@"},
      {"applies", "apply-1@"},
      {"terraform-versions", "tool-1"},
  };
  auto found = ids.find(part);
  if (found == ids.end()) return std::nullopt;
  return std::string(found->second);
}

/// The query and the body that a call needs to get as far as the permission. A key is method and path as in
/// the table, the path without /api/v2.
struct Example {
  std::string query;
  std::string body;
  std::string id{};    ///< in the path instead of the one that id_after says
  std::string rows{};  ///< statements that make the call possible, before each one
};
std::string data(std::string_view type, std::string_view attributes, std::string_view relations = "") {
  std::string out =
      R"({"data": {"type": ")" + std::string(type) + R"(", "attributes": {)" + std::string(attributes) + "}";
  if (!relations.empty()) out += R"(, "relationships": {)" + std::string(relations) + "}";
  return out + "}}";
}
std::string related(std::string_view name, std::string_view type, std::string_view id) {
  return "\"" + std::string(name) + R"(": {"data": {"type": ")" + std::string(type) + R"(", "id": ")" +
         std::string(id) + R"("}})";
}
std::string list(std::string_view type, std::string_view id) {
  return R"({"data": [{"type": ")" + std::string(type) + R"(", "id": ")" + std::string(id) + R"("}]})";
}

std::string some(std::string_view type, std::string_view attributes) {
  return R"({"data": [{"type": ")" + std::string(type) + R"(", "attributes": {)" + std::string(attributes) +
         "}}]}";
}
/// An object's bytes are soft deleted.
std::string hidden(std::string_view object) {
  return "UPDATE terrane.objects SET hidden_at = now() WHERE id = '" + std::string(object) + "'";
}

const std::map<std::string, Example>& examples() {
  static const std::map<std::string, Example> all{
      {"PATCH /account/update", {"", data("users", "")}},
      {"PATCH /account/password",
       {"",
        data(
            "users",
            R"("current_password": "x", "password": "longer-than-ten", "password_confirmation": "longer-than-ten")")}},
      {"POST /organizations", {"", data("organizations", R"("name": "newcomer", "email": "n^x.y")")}},
      {"PATCH /organizations/:organization", {"", data("organizations", "")}},
      {"POST /organizations/:organization/organization-memberships",
       {"", data("organization-memberships", R"("email": "new^x.y")")}},
      {"POST /organizations/:organization/teams",
       {"", data("teams", R"("name": "fresh", "visibility": "organization")")}},
      {"PATCH /teams/:id", {"", data("teams", R"("name": "renamed")")}},
      {"POST /teams/:id/relationships/users", {"", list("users", "member@")}},
      {"DELETE /teams/:id/relationships/users", {"", list("users", "crew@")}},
      {"POST /teams/:id/relationships/organization-memberships",
       {"", list("organization-memberships", "ou-member@")}},
      {"DELETE /teams/:id/relationships/organization-memberships",
       {"", list("organization-memberships", "ou-crew@")}},
      {"POST /users/:id/authentication-tokens", {"", data("authentication-tokens", "")}},
      {"POST /organizations/:organization/authentication-token", {"", data("authentication-tokens", "")}},
      {"POST /teams/:id/authentication-token", {"", data("authentication-tokens", "")}},
      {"POST /teams/:id/authentication-tokens", {"", data("authentication-tokens", R"("description": "n")")}},
      {"DELETE /organizations/:organization/team-tokens", {"", list("authentication-tokens", "at-crew@")}},
      {"POST /organizations/:organization/projects", {"", data("projects", R"("name": "fresh")")}},
      {"PATCH /projects/:id", {"", data("projects", R"("description": "d")")}},
      {"GET /team-projects", {"?filter[project][id]=prj-1@", ""}},
      {"POST /team-projects",
       {"", data("team-projects", R"("access": "read")",
                 related("team", "teams", "team-crew@") + ", " + related("project", "projects", "prj-1@"))}},
      {"PATCH /team-projects/:id", {"", data("team-projects", R"("access": "write")")}},
      {"GET /team-workspaces", {"?filter[workspace][id]=ws-1@", ""}},
      {"POST /team-workspaces",
       {"",
        data("team-workspaces", R"("access": "read")",
             related("team", "teams", "team-crew@") + ", " + related("workspace", "workspaces", "ws-1@"))}},
      {"PATCH /team-workspaces/:id", {"", data("team-workspaces", R"("access": "write")")}},
      {"POST /organizations/:organization/workspaces", {"", data("workspaces", R"("name": "fresh")")}},
      {"PATCH /organizations/:organization/workspaces/:name",
       {"", data("workspaces", R"("description": "d")")}},
      {"PATCH /workspaces/:id", {"", data("workspaces", R"("description": "d")")}},
      {"POST /workspaces/:id/relationships/remote-state-consumers", {"", list("workspaces", "ws-2@")}},
      {"PATCH /workspaces/:id/relationships/remote-state-consumers", {"", list("workspaces", "ws-2@")}},
      {"DELETE /workspaces/:id/relationships/remote-state-consumers", {"", list("workspaces", "ws-2@")}},
      {"POST /workspaces/:owner/vars",
       {"", data("vars", R"("key": "new", "value": "v", "category": "terraform")")}},
      {"PATCH /workspaces/:owner/vars/:id", {"", data("vars", R"("description": "d")")}},
      {"POST /organizations/:organization/agent-pools", {"", data("agent-pools", R"("name": "fresh")")}},
      {"PATCH /agent-pools/:id", {"", data("agent-pools", R"("name": "renamed")")}},
      {"POST /agent-pools/:id/authentication-tokens",
       {"", data("authentication-tokens", R"("description": "d")")}},
      {"POST /organizations/:organization/ssh-keys",
       {"", data("ssh-keys", R"("name": "fresh", "value": "v")")}},
      {"PATCH /ssh-keys/:id", {"", data("ssh-keys", R"("name": "renamed")")}},
      {"PATCH /workspaces/:id/relationships/ssh-key", {"", data("workspaces", R"("id": "sshkey-1@")")}},
      {"POST /organizations/:organization/varsets", {"", data("varsets", R"("name": "fresh")")}},
      {"PATCH /varsets/:id", {"", data("varsets", R"("name": "renamed")")}},
      {"POST /varsets/:id/relationships/workspaces", {"", list("workspaces", "ws-1@")}},
      {"DELETE /varsets/:id/relationships/workspaces", {"", list("workspaces", "ws-1@")}},
      {"POST /varsets/:id/relationships/projects", {"", list("projects", "prj-1@")}},
      {"DELETE /varsets/:id/relationships/projects", {"", list("projects", "prj-1@")}},
      {"POST /varsets/:owner/relationships/vars",
       {"", data("vars", R"("key": "new", "value": "v", "category": "terraform")")}},
      {"PATCH /varsets/:owner/relationships/vars/:id", {"", data("vars", R"("description": "d")")}},
      {"POST /organizations/:organization/relationships/data-retention-policy",
       {"", data("data-retention-policy-dont-deletes", "")}},
      {"PATCH /organizations/:organization/relationships/data-retention-policy",
       {"", data("data-retention-policy-dont-deletes", "")}},
      {"POST /workspaces/:id/relationships/data-retention-policy",
       {"", data("data-retention-policy-dont-deletes", "")}},
      {"PATCH /workspaces/:id/relationships/data-retention-policy",
       {"", data("data-retention-policy-dont-deletes", "")}},
      {"PATCH /projects/:id/tag-bindings", {"", some("tag-bindings", R"("key": "k", "value": "v")")}},
      {"POST /projects/:id/relationships/workspaces", {"", list("workspaces", "ws-1@")}},
      {"POST /workspaces/:id/relationships/tags", {"", some("tags", R"("name": "green")")}},
      {"DELETE /workspaces/:id/relationships/tags", {"", list("tags", "tag-1@")}},
      {"PATCH /workspaces/:id/tag-bindings", {"", some("tag-bindings", R"("key": "k", "value": "v")")}},
      {"DELETE /organizations/:organization/tags", {"", list("tags", "tag-1@")}},
      {"POST /tags/:id/relationships/workspaces", {"", list("workspaces", "ws-1@")}},
      {"GET /workspaces/:id/run-triggers", {"?filter[run-trigger][type]=inbound", ""}},
      {"POST /workspaces/:id/run-triggers",
       {"", data("run-triggers", "", related("sourceable", "workspaces", "ws-3@"))}},
      {"POST /configuration-versions/:id/actions/archive", {"", "", "cv-0@"}},
      {"POST /configuration-versions/:id/actions/soft_delete_backing_data", {"", "", "cv-0@"}},
      {"POST /configuration-versions/:id/actions/restore_backing_data",
       {"", "", "cv-0@", hidden("obj-old-configuration@")}},
      {"POST /configuration-versions/:id/actions/permanently_delete_backing_data",
       {"", "", "cv-0@", hidden("obj-old-configuration@")}},
      {"PATCH /workspaces/:id/state-versions",
       {"", data("state-versions", "", related("rollback-state-version", "state-versions", "sv-0@"))}},
      {"POST /state-versions/:id/actions/soft_delete_backing_data", {"", "", "sv-0@"}},
      {"POST /state-versions/:id/actions/restore_backing_data", {"", "", "sv-0@", hidden("obj-old-state@")}},
      {"POST /state-versions/:id/actions/permanently_delete_backing_data",
       {"", "", "sv-0@", hidden("obj-old-state@")}},
      {"POST /runs/:id/comments", {"", data("comments", R"("body": "c")")}},
      {"POST /runs/:id/actions/force-execute",
       {"", "", "run-2@",
        "UPDATE terrane.runs SET status = 'planned' WHERE id = 'run-1@';"
        "UPDATE terrane.workspaces SET lock_kind = 'runs', lock_owner = 'run-1@' WHERE id = 'ws-1@';"
        "INSERT INTO terrane.runs (id, workspace_id, configuration_version_id, status, message, "
        "terraform_version, epoch) VALUES ('run-2@', 'ws-1@', 'cv-1@', 'pending', 'm', '1.0.0', 1) "
        "ON CONFLICT DO NOTHING;"
        "INSERT INTO terrane.plans (id, run_id, log_id, status) VALUES ('plan-2@', 'run-2@', 'obj-log@', "
        "'pending') ON CONFLICT DO NOTHING;"
        "INSERT INTO terrane.applies (id, run_id, log_id, status) VALUES ('apply-2@', 'run-2@', 'obj-log@', "
        "'pending') ON CONFLICT DO NOTHING"}},
      {"GET /applies/:id/errored-state",
       {"", "", "",
        "UPDATE terrane.applies SET status = 'errored' WHERE id = 'apply-1@';"
        "UPDATE terrane.state_versions SET recovered = true WHERE id = 'sv-1@'"}},
      {"POST /organizations/:organization/registry-modules",
       {"", data("registry-modules", R"("name": "fresh", "provider": "aws")")}},
      {"PATCH /admin/organizations/:organization", {"", data("organizations", "")}},
      {"POST /admin/organizations/:organization/subscription",
       {"", data("subscription", "", related("feature-set", "feature-sets", "fs-business00000001"))}},
      {"PATCH /admin/organizations/:organization/relationships/module-consumers",
       {"", list("organizations", "%")}},
      {"POST /workspaces/:id/configuration-versions", {"", data("configuration-versions", "")}},
      {"GET /state-versions", {"?filter[workspace][name]=one&filter[organization][name]=%", ""}},
      {"POST /workspaces/:id/state-versions",
       {"", data("state-versions", R"("serial": 2, "md5": "d41d8cd98f00b204e9800998ecf8427e")")}},
      {"POST /runs", {"", data("runs", "", related("workspace", "workspaces", "ws-1@"))}},
      {"POST /admin/terraform-versions",
       {"", data("terraform-versions",
                 R"("version": "1.2.3", "url": "https://x.y/z.zip", "sha": "aa", "enabled": true)")}},
      {"PATCH /admin/terraform-versions/:id", {"", data("terraform-versions", R"("enabled": true)")}},
  };
  return all;
}

/// The cells of a table's row, without blanks; nothing when the line is none.
std::vector<std::string> cells(const std::string& line) {
  std::vector<std::string> out;
  if (!line.starts_with("| ") || line.find_last_of('|') == 0) return out;
  for (std::string_view cell : split(std::string_view(line).substr(1, line.rfind('|') - 1), '|'))
    out.emplace_back(trim(cell));
  return out;
}

/// The tables of docs/permissions.md.
struct Tables {
  std::map<std::string, std::set<std::string>> who_has;  // right: columns
  std::map<std::string, std::string> right_of;           // "METHOD path": right
  std::map<std::string, std::string> opened_by;          // "METHOD path" without a token
};

Tables read_tables() {
  std::ifstream file(TERRANE_PERMISSIONS);
  Tables tables;
  std::string section;
  std::vector<std::string> columns;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("## ")) section = line.substr(3);
    const std::vector<std::string> row = cells(line);
    if (row.empty()) continue;
    if (section == "Who has which right") {
      if (row[0] == "Right") columns = row;
      for (std::size_t i = 1; i < row.size() && row[0] != "Right"; ++i) {
        if (row[i] == "x") tables.who_has[row[0]].insert(columns.at(i));
      }
    } else if (section == "Routes" && row[0] != "Method" && row.size() == 3) {
      tables.right_of[row[0] + " " + row[1]] = row[2];
    } else if (section == "Routes that ask for no token" && row[0] != "Method" && row.size() == 3) {
      tables.opened_by[row[0] + " " + row[1]] = row[2];
    }
  }
  return tables;
}

std::string filled(std::string_view text, const std::string& letter) {
  std::string out;
  for (char c : text) {
    if (c == '@')
      out += letter;
    else if (c == '^')
      out += '@';
    else if (c == '%')
      out += letter == "A" ? "acme" : "evil";
    else
      out += c;
  }
  return out;
}

std::string key_of(const http::Route& route) {
  return std::string(http::name(route.method)) + " " + route.pattern;
}

/// Whether calls of a route change who may do what, or take away what the next call needs.
bool decides_what_others_may(const http::Route& route) {
  if (route.method == Method::del) return true;
  if (route.method == Method::get) return false;
  for (std::string_view part :
       {"/relationships/", "safe-delete", "team", "memberships", "/authentication-token", "registry-modules",
        "run-triggers", "tag-bindings", "/archive", "backing_data", "force-execute"}) {
    if (route.pattern.find(part) != std::string::npos) return true;
  }
  return false;
}

struct Stage {
  postgres::Database database;
  redis::Client redis;
  vault_client::FakeVault vault;
  object::ArchivistClient archivist;
  object::UrlSigner urls{Secret("a key of the tests")};
  user::Tokens tokens;
  WebDomains domains;
  api::TestClient client;
  std::string reset_sql;
  std::size_t resets = 0;
  bool is_prepared = false;  ///< rows of an example are there

  Stage(net::Executor executor, const testing::TestDatabase& at)
      : database(executor, at.options(4)),
        redis(executor, {}),
        archivist(executor, "/nonexistent/archivist"),
        tokens(database, Secret("a key of the tests")),
        domains({executor, database, redis, vault, archivist, urls, tokens},
                RoleConfig({{"public_host", "localhost"},
                            {"plan_timeout", 1},
                            {"apply_timeout", 1},
                            {"memory_bytes", 1},
                            {"cpus", 1},
                            {"processes", 1},
                            {"disk_bytes", 1},
                            {"grace", 0}})),
        client(domains.router, [this](const std::string& token) { return tokens.authenticate(token); }) {}

  std::string token_of(const Who& who) { return std::string("token-") + who.column; }

  /// Everything as it was before the first call.
  Task<> reset() {
    if (reset_sql.empty()) {
      // TRUNCATE makes new files and is slow. Rows that others refer to go in a later pass.
      reset_sql =
          "DO $$ DECLARE place text; remaining int; BEGIN FOR pass IN 1..5 LOOP remaining := 0; FOR place IN "
          "SELECT tablename FROM pg_tables WHERE schemaname = 'terrane' AND tablename NOT LIKE '%migration%' "
          "AND tablename <> 'feature_sets' "
          "LOOP BEGIN EXECUTE 'DELETE FROM terrane.' || quote_ident(place); EXCEPTION WHEN "
          "foreign_key_violation THEN remaining := remaining + 1; END; END LOOP; EXIT WHEN remaining = 0; "
          "END "
          "LOOP; END $$;\n" +
          std::string(common_rows);
      for (const char* letter : {"A", "E"}) {
        std::string rows = filled(organization_rows, letter);
        std::string sealed = co_await vault.encrypt("terrane", Secret("1"), std::string("wsout-1") + letter);
        rows.replace(rows.find("{sealed}"), 8, sealed);
        reset_sql += rows;
      }
      for (const Who& who : principals) {
        reset_sql +=
            "INSERT INTO terrane.tokens (id, kind, owner_id, hash, description, last_used_at) VALUES "
            "('at-p-" +
            std::string(who.column) + "', '" + who.kind + "', '" + filled(who.id, "A") + "', '\\x" +
            hex(tokens.hash(token_of(who))) + "', 'p', now());\n";
      }
    }
    co_await database.run_script(reset_sql);
    ++resets;
    is_prepared = false;
    tokens.forget("");
  }

  /// The path with ids of the organization of `letter`; nothing when a parameter is not known. `own_id`, when
  /// there is one, stands for `:id`.
  static std::optional<std::string> path_of(const std::string& pattern, const std::string& letter,
                                            const std::string& own_id = "") {
    static const std::map<std::string_view, std::string_view> by_name{{":organization", "%"},
                                                                      {":registry", "private"},
                                                                      {":namespace", "%"},
                                                                      {":name", "network"},
                                                                      {":provider", "aws"}};
    std::string out, before;
    for (std::string_view part : split(std::string_view(pattern).substr(1), '/')) {
      if (!part.starts_with(':')) {
        out += "/" + std::string(part);
      } else if (part == ":name" && before == "workspaces") {
        out += "/one";
      } else if (part == ":id" && before == "vars" && out.find("varsets") != std::string::npos) {
        out += "/var-s" + letter;
      } else if (part == ":id" && !own_id.empty()) {
        out += "/" + filled(own_id, letter);
      } else if (auto named = by_name.find(part); named != by_name.end()) {
        out += "/" + filled(named->second, letter);
      } else if (std::optional<std::string> id = id_after(before)) {
        out += "/" + filled(*id, letter);
      } else {
        return std::nullopt;
      }
      before = part;
    }
    return out;
  }

  Task<int> call(const http::Route& route, const std::string& letter, const std::string& token,
                 std::string* body = nullptr) {
    std::string key = key_of(route);
    const std::string prefix = "/api/v2";
    const std::size_t at = key.find(prefix);
    if (at != std::string::npos) key.erase(at, prefix.size());
    auto example = examples().find(key);
    std::string target = path_of(route.pattern, letter).value();
    std::string sent = route.method == Method::get ? "" : "{}";
    if (example != examples().end()) {
      target = path_of(route.pattern, letter, example->second.id).value();
      if (!example->second.rows.empty()) {
        co_await database.run_script(filled(example->second.rows, letter));
        is_prepared = true;
      }
      target += filled(example->second.query, letter);
      if (!example->second.body.empty()) sent = filled(example->second.body, letter);
    }
    api::TestAnswer answer = co_await client.call(route.method, target, sent, token);
    if (body) *body = answer.body;
    if (answer.status < 400 && decides_what_others_may(route)) co_await reset();
    co_return answer.status;
  }
};

/// Rights that have nothing to do with an organization.
bool is_everywhere(const std::string& right) {
  return right == "anyone" || right == "all but runs" || right == "user" || right == "account" ||
         right == "site admin";
}

TEST(Permissions, AreThoseOfTheTable) {
  const Tables tables = read_tables();
  ASSERT_GT(tables.who_has.size(), 10U);
  ASSERT_GT(tables.right_of.size(), 50U);
  testing::TestDatabase at(testing::TestDatabase::Content::migrated);
  testing::run_task(
      [&](net::Executor executor) -> Task<> {
        Stage stage(executor, at);
        co_await stage.reset();
        std::size_t calls = 0;
        for (const http::Route& route : stage.domains.router.rows()) {
          if (!route.authenticated) continue;
          const std::string key = key_of(route);
          auto right = tables.right_of.find(key);
          if (right == tables.right_of.end() || !tables.who_has.contains(right->second) ||
              !Stage::path_of(route.pattern, "A")) {
            ADD_FAILURE() << key
                          << ": it must stand in docs/permissions.md with a right that is there, and its "
                          << "parameters in id_after";
            continue;
          }
          if (route.method != Method::get || stage.is_prepared) co_await stage.reset();
          EXPECT_EQ(co_await stage.call(route, "A", ""), 401) << key;
          for (const Who& who : principals) {
            for (const char* letter : {"A", "E"}) {
              const bool near =
                  *letter == 'A' || is_everywhere(right->second) || who.column == std::string("admin");
              const bool may = near && tables.who_has.at(right->second).contains(who.column);
              std::string body;
              const int status = co_await stage.call(route, letter, stage.token_of(who), &body);
              ++calls;
              const bool passed = status != 404 && status != 401 && (status < 500 || status == 503);
              const bool refused = status == 404;
              EXPECT_TRUE(may ? passed : refused)
                  << key << " as " << who.column << (*letter == 'A' ? "" : ", foreign ids") << ": " << status
                  << " where the table says " << (may ? "yes" : "no") << " " << body.substr(0, 300);
            }
          }
        }
        std::cout << "permissions: " << calls << " calls, " << stage.resets << " resets\n";
      },
      std::chrono::minutes(14));
}

TEST(Permissions, NameEveryRouteAndNoOther) {
  const Tables tables = read_tables();
  std::istringstream lines(routes_text());
  std::set<std::string> there;
  for (std::string line; std::getline(lines, line);) {
    const std::size_t end = line.find("  (no token)");
    const bool open = end != std::string::npos;
    const std::string method(trim(line.substr(0, 8)));
    const std::string key = method + " " + std::string(trim(line.substr(8, open ? end - 8 : end)));
    there.insert(key);
    EXPECT_TRUE(open ? tables.opened_by.contains(key) : tables.right_of.contains(key))
        << key << " does not stand in docs/permissions.md";
  }
  for (const auto& [key, right] : tables.right_of) EXPECT_TRUE(there.contains(key)) << key << " is no route";
  for (const auto& [key, by] : tables.opened_by) EXPECT_TRUE(there.contains(key)) << key << " is no route";
}

}  // namespace
}  // namespace terrane::app
