#include "registry/schema.h"

#include "registry/module.h"

namespace terrane::registry {

using namespace jsonapi;

std::vector<Schema> schemas() {
  const json::value part = jsonapi::text("^[A-Za-z0-9_-]{1,60}$");
  return {
      {.name = "registry-modules",
       .type = "registry-modules",
       .table = &resource(),
       .members = {shown("registry-name", one_of("private public")), shown("no-code", boolean()),
                   shown("vcs-repo", nothing()), shown("version-statuses", list_of(anything())),
                   shown("permissions", flags("can-delete can-resync can-retry")),
                   related("organization", "organizations"), needs("name", part), needs("provider", part),
                   takes("registry-name", one_of("private public")), takes("namespace", part)},
       .has_links = true},
  };
}

}  // namespace terrane::registry
