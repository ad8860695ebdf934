#pragma once
#include <string>

#include "app/serve/provision.h"
#include "base/secret.h"

namespace terrane::app {

/// A vault token for a role that may do what the role needs and nothing else. It lives 32 days and is renewed
/// by its use of `renew-self`; each start of the role gets a fresh one. Throws Error{unavailable} when the
/// vault is away or sealed.
Task<Secret> make_vault_token(net::Executor executor, const Installation& installation, std::string role);

}  // namespace terrane::app
