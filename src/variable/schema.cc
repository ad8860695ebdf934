#include "variable/schema.h"

#include "variable/variable.h"

namespace terrane::variable {

using namespace jsonapi;

std::vector<Schema> schemas() {
  return {
      {.name = "vars",
       .type = "vars",
       .table = &resource(),
       .members = {shown("category", one_of("terraform env")),
                   needs("key", jsonapi::text("^[A-Za-z_][A-Za-z0-9_]{0,60}$")),
                   needs("category", one_of("terraform env")),
                   takes("value", nullable(json::object{{"type", "string"}, {"maxLength", 100}})),
                   takes("description", nullable(json::object{{"type", "string"}, {"maxLength", 60}}))},
       .has_links = true},
  };
}

}  // namespace terrane::variable
