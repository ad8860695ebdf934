#include "installation/schema.h"

#include "installation/terraform_version.h"

namespace terrane::installation {

using namespace jsonapi;

std::vector<Schema> schemas() {
  auto arch = [](json::value url, json::value sha) -> json::value {
    return closed_object(json::object{{"url", std::move(url)},
                                      {"sha", std::move(sha)},
                                      {"os", one_of("linux")},
                                      {"arch", one_of("amd64 arm64")}});
  };
  const json::value given =
      arch(jsonapi::text("^https://[a-z]{1,20}\\.example/[a-z]{1,20}$"), jsonapi::text("^[0-9a-f]{64}$"));
  return {
      {.name = "terraform-versions",
       .type = "terraform-versions",
       .table = &terraform_version_resource(),
       .members = {shown("archs", nullable(list_of(arch(jsonapi::text(), jsonapi::text())))),
                   needs("version", jsonapi::text("^[1-9][0-9]{0,3}\\.[0-9]\\.[1-9][0-9]{0,3}$")),
                   needs("archs",
                         json::object{{"type", "array"}, {"items", given}, {"minItems", 1}, {"maxItems", 1}}),
                   takes("engine", one_of("opentofu terraform")),
                   takes("deprecated-reason",
                         nullable(json::object{{"type", "string"}, {"maxLength", 60}}))}},
  };
}

}  // namespace terrane::installation
