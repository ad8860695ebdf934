#include "ssh_key/schema.h"

#include "ssh_key/ssh_key.h"

namespace terrane::ssh_key {

using namespace jsonapi;

std::vector<Schema> schemas() {
  return {
      {.name = "ssh-keys",
       .type = "ssh-keys",
       .table = &resource(),
       .members = {needs("name", jsonapi::text("^[A-Za-z0-9_-]{1,90}$")),
                   needs("value", jsonapi::text("^[A-Za-z0-9_-]{1,90}$"))},
       .has_links = true},
      // The workspace's end of the relation, as clients send it.
      {.name = "ssh-key-assignments",
       .type = "workspaces",
       .members = {needs("id", nullable(jsonapi::text()))}},
  };
}

}  // namespace terrane::ssh_key
