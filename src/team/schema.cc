#include "team/schema.h"

#include "team/grant.h"
#include "team/membership.h"
#include "team/team.h"

namespace terrane::team {

using namespace jsonapi;

namespace {

json::value words(std::span<const std::string_view> values) {
  json::array list;
  for (std::string_view value : values) list.emplace_back(value);
  return json::object{{"type", "string"}, {"enum", std::move(list)}};
}

/// The rights of a kind of grant that stand in groups. Names are views of what lives as long as the program.
std::map<std::string_view, json::object> groups_of(const GrantKind& kind) {
  std::map<std::string_view, json::object> groups;
  for (const GrantField& field : kind.fields) {
    if (field.group.empty()) continue;
    groups[field.group][field.name] = field.values.empty() ? boolean() : words(field.values);
  }
  return groups;
}

/// A request may name some of a group's rights.
json::value some_of(const json::object& group) {
  std::vector<std::string> optional;
  for (const json::key_value_pair& item : group) optional.emplace_back(item.key());
  return closed_object(group, optional);
}

Schema grant(const GrantKind& kind) {
  std::vector<std::string_view> levels{"custom"};
  for (const GrantLevel& level : kind.levels) levels.push_back(level.name);
  Schema schema{.name = kind.type,
                .type = kind.type,
                .members = {shown("access", words(levels)), needs("access", words(levels)),
                            related("team", "teams"), related(kind.place, kind.place_type),
                            needs_related("team", "teams"), needs_related(kind.place, kind.place_type)},
                .has_links = true};
  for (const GrantField& field : kind.fields) {
    if (!field.group.empty()) continue;
    json::value value = field.values.empty() ? boolean() : words(field.values);
    schema.members.push_back(shown(field.name, value));
    schema.members.push_back(takes(field.name, std::move(value)));
  }
  for (const auto& [name, group] : groups_of(kind)) {
    schema.members.push_back(shown(name, closed_object(group)));
    schema.members.push_back(takes(name, some_of(group)));
  }
  return schema;
}

json::object organization_rights() {
  json::object group;
  for (const Attribute& right : rights_resource().attributes) group[right.name] = boolean();
  return group;
}

}  // namespace

std::vector<Schema> schemas() {
  return {
      {.name = "teams",
       .type = "teams",
       .table = &resource(),
       .members = {shown("organization-access", closed_object(organization_rights())),
                   shown("is-unified", boolean()),
                   shown(
                       "permissions",
                       flags("can-destroy can-update-membership can-update-organization-access "
                             "can-update-api-token can-view-api-token can-update-visibility can-update-name "
                             "can-update-sso-team-id can-update-member-token-management")),
                   related("organization", "organizations"),
                   related_many("users", "users"),
                   related_many("organization-memberships", "organization-memberships"),
                   {Member::Place::shown_relation, "authentication-token",
                    closed_object(json::object{{"meta", closed_object(json::object())}}), true},
                   needs("name", jsonapi::text("^[A-Za-z0-9_-]{1,90}$")),
                   takes("visibility", one_of("secret organization")),
                   takes("sso-team-id", nullable(json::object{{"type", "string"}, {"maxLength", 60}})),
                   takes("organization-access", some_of(organization_rights()))},
       .has_links = true},
      {.name = "organization-memberships",
       .type = "organization-memberships",
       .table = &membership_resource(),
       .members = {shown("status", one_of("active invited")), related_many("teams", "teams"),
                   needs("email", jsonapi::text("^[a-z0-9.]{1,40}@[a-z0-9]{1,40}\\.example$")),
                   takes_related_many("teams", "teams")}},
      grant(workspace_grants()),
      grant(project_grants()),
  };
}

}  // namespace terrane::team
