#include "configversion/schema.h"

#include "configversion/configversion.h"

namespace terrane::configversion {

using namespace jsonapi;

std::vector<Schema> schemas() {
  return {
      {.name = "configuration-versions",
       .type = "configuration-versions",
       .table = &resource(),
       .members = {shown("status", one_of("pending fetching uploaded archived errored")),
                   shown("status-timestamps",
                         json::object{{"type", "object"}, {"additionalProperties", time()}}),
                   sometimes("upload-url", jsonapi::text())}},
  };
}

}  // namespace terrane::configversion
