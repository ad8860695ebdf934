#include "workspace/schema.h"

#include "workspace/workspace.h"

namespace terrane::workspace {

using namespace jsonapi;

std::vector<Schema> schemas() {
  auto short_text = [](int most) { return nullable(json::object{{"type", "string"}, {"maxLength", most}}); };
  return {
      {.name = "workspaces",
       .type = "workspaces",
       .table = &resource(),
       .members = {shown("execution-mode", one_of("remote local agent")),
                   shown("locked", boolean()),
                   shown("operations", boolean()),
                   shown("environment", jsonapi::text()),
                   shown("vcs-repo", nothing()),
                   shown("tag-names", list_of(jsonapi::text())),
                   shown("permissions",
                         flags("can-update can-destroy can-queue-run can-queue-apply can-queue-destroy "
                               "can-read-run can-read-variable can-update-variable can-read-state-versions "
                               "can-read-state-outputs can-create-state-versions can-lock can-unlock "
                               "can-force-unlock can-read-settings can-manage-run-tasks can-force-delete")),
                   shown("actions", flags("is-destroyable")),
                   related("organization", "organizations"),
                   related("project", "projects"),
                   related("current-run", "runs"),
                   related("current-state-version", "state-versions"),
                   related("current-configuration-version", "configuration-versions"),
                   [] {
                     Member member = related("locked-by", "users teams runs");
                     member.always = false;
                     return member;
                   }(),
                   needs("name", jsonapi::text("^[A-Za-z0-9_-]{1,90}$")),
                   takes("description", short_text(60)),
                   takes("execution-mode", one_of("remote local")),
                   takes("source-name", short_text(40)),
                   takes("source-url", short_text(60)),
                   takes("terraform-version", jsonapi::text("^1\\.[0-9]\\.[0-9]$")),
                   takes("working-directory", nullable(jsonapi::text("^[a-z]{1,20}(/[a-z]{1,20})?$"))),
                   takes_related("project", "projects")},
       .has_links = true},
  };
}

}  // namespace terrane::workspace
