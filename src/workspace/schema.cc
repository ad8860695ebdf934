#include "workspace/schema.h"

#include "organization/schema.h"
#include "workspace/workspace.h"

namespace terrane::workspace {

using namespace jsonapi;

std::vector<Schema> schemas() {
  auto short_text = [](int most) { return nullable(json::object{{"type", "string"}, {"maxLength", most}}); };
  const Schema tags{.name = "tags",
                    .type = "tags",
                    .members = {shown("name", jsonapi::text()), shown("created-at", time()),
                                shown("instance-count", integer(0, 1'000'000'000)),
                                related("organization", "organizations"),
                                needs("name", jsonapi::text("^[a-z0-9_:-]{1,40}$"))}};
  const json::value tag_item = request_schema(tags, create);
  return {
      {.name = "workspaces",
       .type = "workspaces",
       .table = &resource(),
       .members = {shown("execution-mode", one_of("remote local agent")),
                   shown("locked", boolean()),
                   shown("operations", boolean()),
                   shown("environment", jsonapi::text()),
                   shown("vcs-repo", nothing()),
                   shown("vcs-repo-identifier", nothing()),
                   shown("hyok-enabled", boolean()),
                   shown("policy-check-failures", nothing()),
                   shown("can-queue-destroy-plan", boolean()),
                   shown("setting-overwrites", flags("execution-mode agent-pool")),
                   shown("tag-names", list_of(jsonapi::text())),
                   shown("permissions",
                         flags("can-update can-destroy can-queue-run can-queue-apply can-queue-destroy "
                               "can-read-run can-read-variable can-update-variable can-read-state-versions "
                               "can-read-state-outputs can-create-state-versions can-lock can-unlock "
                               "can-force-unlock can-read-settings can-manage-run-tasks can-force-delete")),
                   shown("actions", flags("is-destroyable")),
                   related("organization", "organizations"),
                   related("project", "projects"),
                   related("agent-pool", "agent-pools"),
                   related("ssh-key", "ssh-keys"),
                   related("current-run", "runs"),
                   related("data-retention-policy", organization::retention_policy_types),
                   sometimes(related_many("vars", "vars")),
                   sometimes(related_many("outputs", "workspace-outputs")),
                   sometimes(related_many("effective-tag-bindings", "effective-tag-bindings")),
                   related("current-state-version", "state-versions"),
                   related("current-configuration-version", "configuration-versions"),
                   sometimes(related("locked-by", "users teams runs")),
                   needs("name", jsonapi::text("^[A-Za-z0-9_-]{1,90}$")),
                   takes("description", short_text(60)),
                   takes("execution-mode", one_of("remote local")),
                   takes("operations", boolean()),
                   takes("agent-pool-id", nullable(jsonapi::text())),
                   takes("setting-overwrites",
                         closed_object({{"execution-mode", boolean()}, {"agent-pool", boolean()}},
                                       {"execution-mode", "agent-pool"})),
                   takes("auto-destroy-activity-duration", nullable(jsonapi::text("^[0-9]{1,4}[dh]$"))),
                   takes_whole("tags", tag_item),
                   takes_whole("tag-bindings", organization::tag_binding_item()),
                   takes("source-name", short_text(40)),
                   takes("source-url", short_text(60)),
                   takes("terraform-version", jsonapi::text("^1\\.[0-9]\\.[0-9]$")),
                   takes("working-directory", nullable(jsonapi::text("^[a-z]{1,20}(/[a-z]{1,20})?$"))),
                   takes_related("project", "projects")},
       .has_links = true},
      tags,
      {.name = "resources",
       .type = "resources",
       .members = {shown("address", jsonapi::text()), shown("name", jsonapi::text()),
                   shown("created-at", time()), shown("updated-at", time()), shown("module", jsonapi::text()),
                   shown("provider", jsonapi::text()), shown("provider-type", jsonapi::text()),
                   shown("modified-by-state-version-id", jsonapi::text()),
                   shown("name-index", nullable(jsonapi::text()))}},
  };
}

}  // namespace terrane::workspace
