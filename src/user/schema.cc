#include "user/schema.h"

#include "user/user.h"

namespace terrane::user {

using namespace jsonapi;

std::vector<Schema> schemas() {
  const json::value name = jsonapi::text("^[A-Za-z0-9_-]{1,60}$");
  const json::value password =
      json::object{{"type", "string"}, {"minLength", 10}, {"maxLength", 250}, {"format", "password"}};
  return {
      {.name = "users",
       .type = "users",
       .table = &resource(),
       .members = {sometimes("email", jsonapi::text()), sometimes("is-site-admin", boolean()),
                   sometimes("is-admin", boolean()), shown("unconfirmed-email", nothing()),
                   shown("avatar-url", jsonapi::text()), shown("v2-only", boolean()),
                   shown("is-sso-login", boolean()), shown("two-factor", flags("enabled verified")),
                   shown("permissions",
                         flags("can-create-organizations can-change-email can-change-username "
                               "can-manage-user-tokens can-view2fa-settings can-manage-hcp-account")),
                   takes("username", name),
                   takes("email", jsonapi::text("^[a-z0-9.]{1,40}@[a-z0-9]{1,40}\\.example$"))}},
      {.name = "passwords",
       .type = "users",
       .members = {needs("current_password", password), needs("password", password),
                   needs("password_confirmation", password)}},
      {.name = "authentication-tokens",
       .type = "authentication-tokens",
       .members = {shown("created-at", time()), shown("last-used-at", nullable(time())),
                   shown("description", nullable(jsonapi::text())), shown("expired-at", nullable(time())),
                   shown("token", nullable(jsonapi::text())),
                   related("created-by", "users teams organizations"), sometimes(related("team", "teams")),
                   takes("description", json::object{{"type", "string"}, {"maxLength", 60}}),
                   takes("expired-at", nullable(time()))}},
  };
}

}  // namespace terrane::user
