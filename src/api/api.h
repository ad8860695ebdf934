#pragma once
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "api/parameters.h"
#include "base/json.h"
#include "http/message.h"
#include "http/router.h"
#include "jsonapi/resource.h"

namespace terrane::api {

/// Who asks. A worker node is not a principal: it has a certificate and a listener of its own.
struct Principal {
  enum class Kind { user, organization, team, run };
  Kind kind = Kind::user;
  std::string id;               ///< of the user, organization, team or run
  std::string name;             ///< for audit lines and messages
  bool site_admin = false;      ///< users only
  std::string organization_id;  ///< organizations, teams and runs
  std::string workspace_id;     ///< runs only
  std::string token_id;
};

/// Finds the principal of a bearer token; nothing when it is not valid.
using Authenticate = std::function<Task<std::optional<Principal>>(const std::string& token)>;

/// Counts a request of `key` and says how many seconds to wait when it is one too many, else nothing.
using RateLimit = std::function<Task<std::optional<double>>(const std::string& key)>;

struct Options {
  std::string version = "v202511-1";  ///< X-TFE-Version: `vYYYYMM-N`, which the CLI parses
  int requests_per_second = 0;  ///< announced in X-RateLimit-Limit; 0 is unlimited and announces nothing
};

/// Wraps a router for API v2: request id, the vendor's headers on every answer, authentication, rate limit,
/// body limits, errors. The router, and what the functions refer to, must outlive the handler.
http::Handler handler(const http::Router& router, Authenticate authenticate, RateLimit rate_limit,
                      Options options);

/// The answer to a request that ended with an exception: JSON:API errors. This is the only place where a Code
/// becomes a status. What is not an Error is logged with the request's id and answered 500 without detail.
http::Response error_response(const http::Request& request, std::exception_ptr failure);

/// The authenticated principal of a request of an `authenticated` route.
const Principal& principal(const http::Request& request);

/// A JSON:API answer.
http::Response answer(int status, const json::object& document);
http::Response no_content();

/// Reads the body as a JSON:API document of resource `type` and returns its `data`.
Task<json::object> read_data(http::Request& request, std::string_view type, std::size_t limit = 1024 * 1024);

/// Reads a plain JSON object such as `{"comment": "…"}`; an empty body is an empty object.
Task<json::object> read_object(http::Request& request, std::size_t limit = 64 * 1024);

/// Binds a member function as a handler: `bind<&RunApi::show>(this)`. The object must outlive the router.
template <auto Function, class Class>
http::Handler bind(Class* object) {
  return [object](http::Request& request) -> Task<http::Response> { return (object->*Function)(request); };
}

}  // namespace terrane::api
