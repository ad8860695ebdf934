#include "organization/schema.h"

#include "organization/admin.h"
#include "organization/organization.h"
#include "organization/project.h"
#include "organization/subscription.h"

namespace terrane::organization {

using namespace jsonapi;

namespace {

json::value amount() { return nullable(integer(0, 1'000'000'000)); }

/// Adds a flag for every entitlement.
Schema with_entitlements(Schema schema) {
  for (std::string_view name : known_entitlements()) schema.members.push_back(shown(name, boolean()));
  return schema;
}

std::vector<Schema> subscription_schemas() {
  return {
      with_entitlements({.name = "entitlement-sets",
                         .type = "entitlement-sets",
                         .members = {shown("user-limit", amount())},
                         .has_links = true}),
      with_entitlements({.name = "feature-sets", .type = "feature-sets", .table = &feature_set_resource()}),
      {.name = "subscriptions",
       .type = "subscriptions",
       .table = &subscription_resource(),
       .members = {needs_related("feature-set", "feature-sets"), takes("runs-ceiling", amount()),
                   takes("agents-ceiling", amount()), takes("contract-user-limit", amount()),
                   takes("contract-apply-limit", amount()),
                   takes("contract-managed-resources-limit", amount())}}};
}

Schema retention_schema() {
  return {.name = "data-retention-policies",
          .type =
              "data-retention-policy-delete-olders data-retention-policy-dont-deletes "
              "data-retention-policies",
          .members = {sometimes("delete-older-than-n-days", integer(1, 36'500)),
                      needs("delete-older-than-n-days", integer(1, 36'500))}};
}

std::vector<Schema> tag_binding_schemas() {
  const json::value text_of_tag = jsonapi::text("^[a-z0-9]{1,20}$");
  return {{.name = "tag-bindings",
           .type = "tag-bindings",
           .members = {shown("key", jsonapi::text()), shown("value", jsonapi::text()),
                       needs("key", text_of_tag), takes("value", text_of_tag)}},
          {.name = "effective-tag-bindings",
           .type = "effective-tag-bindings",
           .members = {shown("key", jsonapi::text()), shown("value", jsonapi::text())},
           .has_links = true,
           .links_vary = true}};
}

Schema admin_schema() {
  const json::value timeout = nullable(jsonapi::text("^[1-9]h([1-9]m)?$"));
  Schema schema{
      .name = "admin-organizations",
      .type = "organizations",
      .table = &admin_resource(),
      .members = {shown("external-id", jsonapi::text()), shown("sso-enabled", boolean()),
                  related_many("owners", "users"), takes("workspace-limit", nullable(integer(0, 1'000'000)))},
      .has_links = true};
  for (std::string_view name : {"terraform-build-worker-plan-timeout", "terraform-build-worker-apply-timeout",
                                "plan-timeout", "apply-timeout"})
    schema.members.push_back(takes(name, timeout));
  return schema;
}

}  // namespace

json::value tag_binding_item() { return request_schema(tag_binding_schemas().front(), create); }

std::vector<Schema> schemas() {
  const json::value minutes = nullable(integer(1, 5'256'000));
  const json::value name = jsonapi::text("^[A-Za-z0-9_-]{3,90}$");
  const json::value mode = one_of("remote local agent");
  const json::value simple_mode = one_of("remote local");  // the other one needs an agent pool
  std::vector<Schema> out{
      {.name = "organizations",
       .type = "organizations",
       .table = &resource(),
       .members =
           {shown("external-id", jsonapi::text()),
            shown(
                "permissions",
                flags("can-traverse can-update can-destroy can-create-workspace can-create-project "
                      "can-update-api-token can-create-team can-manage-users can-create-workspace-migration "
                      "can-deploy-no-code-modules can-enable-stacks can-manage-auditing "
                      "can-manage-no-code-modules can-manage-run-tasks can-update-hyok-configuration "
                      "can-update-oauth can-update-sentinel can-view-hyok-feature-info "
                      "can-update-authentication-token can-update-ssh-keys can-manage-varsets "
                      "can-read-varsets can-update-agent-pools")),
            shown("is-unified", boolean()), shown("saml-enabled", boolean()),
            shown("two-factor-conformant", boolean()), shown("enforce-hyok", boolean()),
            shown("stacks-enabled", boolean()), shown("trial-expires-at", nullable(time())),
            shown("default-execution-mode", mode), related("data-retention-policy", retention_policy_types),
            needs("name", name), needs("email", jsonapi::text("^[a-z0-9.]{1,40}@[a-z0-9]{1,40}\\.example$")),
            takes("collaborator-auth-policy", one_of("password")),
            takes("default-execution-mode", simple_mode),
            takes("owners-team-saml-role-id", nullable(json::object{{"type", "string"}, {"maxLength", 60}})),
            takes_related("default-agent-pool", "agent-pools"), takes("session-timeout", minutes),
            takes("session-remember", minutes)},
       .has_links = true},
      {.name = "projects",
       .type = "projects",
       .table = &project_resource(),
       .members = {shown("is-unified", boolean()), shown("default-execution-mode", mode),
                   shown("setting-overwrites", flags("default-execution-mode default-agent-pool")),
                   shown("permissions",
                         flags("can-read can-update can-destroy can-create-workspace can-move-workspace "
                               "can-read-teams can-manage-teams")),
                   related("organization", "organizations"), related("default-agent-pool", "agent-pools"),
                   sometimes(related_many("effective-tag-bindings", "effective-tag-bindings")),
                   needs("name", jsonapi::text("^[A-Za-z0-9_-]{3,40}$")),
                   takes("description", nullable(json::object{{"type", "string"}, {"maxLength", 60}})),
                   takes("auto-destroy-activity-duration", nullable(jsonapi::text("^[0-9]{1,4}[dh]$"))),
                   takes("default-execution-mode", simple_mode),
                   takes("default-agent-pool-id", nullable(jsonapi::text())),
                   takes("setting-overwrites",
                         closed_object(
                             {{"default-execution-mode", boolean()}, {"default-agent-pool", boolean()}},
                             {"default-execution-mode", "default-agent-pool"})),
                   takes_whole("tag-bindings", tag_binding_item())},
       .has_links = true},
      admin_schema(),
      retention_schema(),
  };
  for (const std::vector<Schema>& more : {subscription_schemas(), tag_binding_schemas()})
    out.insert(out.end(), more.begin(), more.end());
  return out;
}

}  // namespace terrane::organization
