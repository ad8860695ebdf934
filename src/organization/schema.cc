#include "organization/schema.h"

#include "organization/organization.h"
#include "organization/project.h"

namespace terrane::organization {

using namespace jsonapi;

std::vector<Schema> schemas() {
  const json::value minutes = nullable(integer(1, 5'256'000));
  const json::value name = jsonapi::text("^[A-Za-z0-9_-]{3,90}$");
  const json::value mode = one_of("remote local");
  return {
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
                      "can-update-oauth can-update-sentinel can-view-hyok-feature-info")),
            shown("is-unified", boolean()), shown("saml-enabled", boolean()),
            shown("owners-team-saml-role-id", nothing()), shown("two-factor-conformant", boolean()),
            shown("trial-expires-at", nothing()), shown("user-tokens-enabled", boolean()),
            shown("default-execution-mode", mode), needs("name", name),
            needs("email", jsonapi::text("^[a-z0-9.]{1,40}@[a-z0-9]{1,40}\\.example$")),
            takes("collaborator-auth-policy", one_of("password")), takes("default-execution-mode", mode),
            takes("session-timeout", minutes), takes("session-remember", minutes)},
       .has_links = true},
      {.name = "entitlement-sets",
       .type = "entitlement-sets",
       .members = {shown("operations", boolean()), shown("state-storage", boolean()),
                   shown("user-limit", nullable(integer(0, 1'000'000'000))), shown("agents", boolean()),
                   shown("audit-logging", boolean()), shown("cost-estimation", boolean()),
                   shown("global-run-tasks", boolean()), shown("policy-enforcement", boolean()),
                   shown("private-module-registry", boolean()), shown("private-run-tasks", boolean()),
                   shown("run-tasks", boolean()), shown("sentinel", boolean()), shown("sso", boolean()),
                   shown("teams", boolean()), shown("vcs-integrations", boolean()),
                   shown("waypoint-actions", boolean()), shown("waypoint-templates-and-addons", boolean())},
       .has_links = true},
      {.name = "projects",
       .type = "projects",
       .table = &project_resource(),
       .members = {shown("is-unified", boolean()), shown("auto-destroy-activity-duration", nothing()),
                   shown("setting-overwrites", flags("default-execution-mode default-agent-pool")),
                   shown("permissions",
                         flags("can-read can-update can-destroy can-create-workspace can-move-workspace "
                               "can-read-teams can-manage-teams")),
                   needs("name", jsonapi::text("^[A-Za-z0-9_-]{3,40}$")),
                   takes("description", nullable(json::object{{"type", "string"}, {"maxLength", 60}}))},
       .has_links = true},
  };
}

}  // namespace terrane::organization
