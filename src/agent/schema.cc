#include "agent/schema.h"

#include "agent/pool.h"

namespace terrane::agent {

using namespace jsonapi;

std::vector<Schema> schemas() {
  return {
      {.name = "agent-pools",
       .type = "agent-pools",
       .table = &resource(),
       .members = {shown("agent-count", integer(0, 1'000'000'000)), related_many("workspaces", "workspaces"),
                   related_many("allowed-workspaces", "workspaces"),
                   related_many("allowed-projects", "projects"),
                   related_many("excluded-workspaces", "workspaces"), linked("agents"),
                   linked("authentication-tokens"), needs("name", jsonapi::text("^[A-Za-z0-9_-]{1,90}$")),
                   takes_related_many("allowed-workspaces", "workspaces"),
                   takes_related_many("allowed-projects", "projects"),
                   takes_related_many("excluded-workspaces", "workspaces")},
       .has_links = true},
      // Agents of one's own are not there yet: lists of them are empty.
      {.name = "agents",
       .type = "agents",
       .members = {shown("name", jsonapi::text()), shown("ip-address", jsonapi::text()),
                   shown("status", jsonapi::text()), shown("last-ping-at", time())}},
  };
}

}  // namespace terrane::agent
