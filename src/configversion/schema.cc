#include "configversion/schema.h"

#include "configversion/configversion.h"

namespace terrane::configversion {

using namespace jsonapi;

std::vector<Schema> schemas() {
  return {
      {.name = "configuration-versions",
       .type = "configuration-versions",
       .table = &resource(),
       .members =
           {shown("status", one_of("pending fetching uploaded archived errored backing_data_soft_deleted "
                                   "backing_data_permanently_deleted")),
            shown("status-timestamps", json::object{{"type", "object"}, {"additionalProperties", time()}}),
            sometimes("upload-url", jsonapi::text()), related("ingress-attributes", "ingress-attributes"),
            sometimes(related("workspace", "workspaces")),
            sometimes(related("registry-module", "registry-modules"))},
       .has_links = true},
  };
}

}  // namespace terrane::configversion
