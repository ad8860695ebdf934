#include "variable/schema.h"

#include "variable/variable.h"
#include "variable/variable_set.h"

namespace terrane::variable {

using namespace jsonapi;

namespace {

Schema variables() {
  return {.name = "vars",
          .type = "vars",
          .table = &resource(),
          .members = {shown("category", one_of("terraform env")),
                      needs("key", jsonapi::text("^[A-Za-z_][A-Za-z0-9_]{0,60}$")),
                      needs("category", one_of("terraform env")),
                      takes("value", nullable(json::object{{"type", "string"}, {"maxLength", 100}})),
                      takes("description", nullable(json::object{{"type", "string"}, {"maxLength", 60}}))},
          .has_links = true};
}

Schema sets() {
  const json::value count = integer(0, 1'000'000'000);
  return {
      .name = "varsets",
      .type = "varsets",
      .table = &set_resource(),
      .members = {shown("var-count", count), shown("workspace-count", count), shown("project-count", count),
                  shown("permissions", flags("can-update")), related("parent", "organizations projects"),
                  related_many("vars", "vars"), related_many("workspaces", "workspaces"),
                  related_many("projects", "projects"),
                  needs("name", jsonapi::text("^[a-z0-9 ]{0,59}[a-z0-9]$")),
                  takes("description", nullable(json::object{{"type", "string"}, {"maxLength", 60}})),
                  takes_related("parent", "organizations projects"),
                  takes_related_many("workspaces", "workspaces"), takes_related_many("projects", "projects"),
                  takes_whole("vars", request_schema(variables(), create))},
      .has_links = true};
}

}  // namespace

std::vector<Schema> schemas() { return {variables(), sets()}; }

}  // namespace terrane::variable
