#include "state/schema.h"

#include "state/state.h"

namespace terrane::state {

using namespace jsonapi;

std::vector<Schema> schemas() {
  const json::value base64 = json::object{{"type", "string"}, {"contentEncoding", "base64"}};
  const json::value count = integer(0, 9'007'199'254'740'991);
  // How many instances of each type there are, by module or by provider.
  const json::value counts = json::object{
      {"type", "object"},
      {"additionalProperties", json::object{{"type", "object"}, {"additionalProperties", count}}}};
  return {
      {.name = "state-rollbacks",
       .type = "state-versions",
       .members = {needs_related("rollback-state-version", "state-versions")}},
      {.name = "state-versions",
       .type = "state-versions",
       .table = &resource(),
       .members = {shown("status", one_of("pending finalized discarded backing_data_soft_deleted "
                                          "backing_data_permanently_deleted")),
                   sometimes("hosted-state-download-url", jsonapi::text()),
                   sometimes("hosted-state-upload-url", jsonapi::text()),
                   sometimes("hosted-json-state-upload-url", jsonapi::text()),
                   sometimes("hosted-json-state-download-url", nullable(jsonapi::text())),
                   shown("state-version", nullable(integer(4, 4))),
                   shown("modules", counts),
                   shown("providers", counts),
                   shown("billable-rum-count", nullable(count)),
                   shown("vcs-commit-sha", nothing()),
                   shown("vcs-commit-url", nothing()),
                   sometimes(related("rollback-state-version", "state-versions")),
                   related("workspace", "workspaces"),
                   related("run", "runs"),
                   related("created-by", "users"),
                   related_many("outputs", "state-version-outputs"),
                   needs("serial", integer(0, 9'007'199'254'740'991)),
                   needs("md5", jsonapi::text("^[0-9a-f]{32}$")),
                   takes("lineage", nullable(jsonapi::text("^[0-9a-f-]{1,36}$"))),
                   takes("force", boolean()),
                   takes("state", base64),
                   takes("json-state", base64),
                   takes("json-state-outputs", base64),
                   takes_related("run", "runs")},
       .has_links = true},
      {.name = "state-version-outputs",
       .type = "state-version-outputs",
       .members = {shown("name", jsonapi::text()), shown("sensitive", boolean()),
                   shown("type", jsonapi::text()), shown("value", anything()),
                   shown("detailed-type", anything())}},
      // The same as a workspace's answer includes it.
      {.name = "workspace-outputs",
       .type = "workspace-outputs",
       .members = {shown("name", jsonapi::text()), shown("sensitive", boolean()),
                   shown("output-type", jsonapi::text()), shown("value", anything()),
                   shown("detailed-type", anything())}},
  };
}

}  // namespace terrane::state
