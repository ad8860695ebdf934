#include "app/roles/front.h"

#include "base/text.h"
#include "configversion/configversion.h"
#include "run/uploads.h"

namespace terrane::app {

void Front::add_public_routes(http::Router& router) {
  using http::Method;
  router.add({Method::get, "/.well-known/terraform.json", api::bind<&Front::discovery>(this), 0, false});
  router.add({Method::get, "/api/v2/ping", api::bind<&Front::ping>(this), 0, false},
             {http::Shape::Form::nothing});
  router.add({Method::get, "/_health_check", api::bind<&Front::health>(this), 0, false});
  add_blob_routes(router);
}

void Front::add_blob_routes(http::Router& router) {
  constexpr std::size_t unlimited = std::size_t{1} << 40;  // archivist knows the limit of each kind
  for (http::Method method : {http::Method::get, http::Method::head, http::Method::put}) {
    router.add({method, "/_archivist/*rest", api::bind<&Front::blob>(this), unlimited, false});
  }
}

Task<http::Response> Front::discovery(http::Request&) {
  static const json::object document{
      {"tfe.v2", "/api/v2/"}, {"tfe.v2.1", "/api/v2/"}, {"tfe.v2.2", "/api/v2/"}, {"state.v2", "/api/v2/"}};
  http::Response response;
  response.headers.set("Content-Type", "application/json");
  response.body = json::serialize(document);
  co_return response;
}

Task<http::Response> Front::ping(http::Request&) { co_return api::no_content(); }

Task<http::Response> Front::blob(http::Request& request) {
  std::optional<object::Grant> grant;
  if (request.method == http::Method::put)
    grant = needs_.urls.verify(request.path.substr(request.path.rfind('/') + 1));
  if (grant && grant->access == object::Access::write) {
    Id<Object> target = co_await configversion::upload_target(needs_.database, grant->object, grant->expires);
    if (target != grant->object) {
      grant->object = target;
      request.target = needs_.urls.path(object::Access::write, target, object::upload_life);
    }
  }
  http::Response response = co_await needs_.archivist.forward(request);
  if (request.method != http::Method::put || response.status != 200) co_return response;
  std::optional<std::int64_t> size = parse_int(response.headers.find("X-Terrane-Size").value_or(""));
  std::optional<std::string_view> md5 = response.headers.find("X-Terrane-Md5");
  if (!grant || !size || !md5) throw Error(Code::internal, "archivist did not say what it stored");
  // The bytes are durable; what follows from that is committed before the answer leaves.
  co_await run::on_uploaded(needs_.database, grant->object, std::string(*md5), *size);
  co_return response;
}

namespace {

/// Adds to `document` whether a part answers. Returns whether it does.
Task<bool> check(json::object& document, std::string_view part, Task<> question) {
  try {
    co_await std::move(question);
    document[part] = "UP";
    co_return true;
  } catch (const Error& error) {
    document[part] = "DOWN: " + error.detail();
    co_return false;
  }
}

Task<> ask_vault(vault_client::Vault& vault) {
  vault_client::Health health = co_await vault.health();
  if (health.sealed) throw Error(Code::unavailable, "sealed");
}

Task<> ask_redis(redis::Client& redis) { co_await redis.command({"PING"}); }

}  // namespace

Task<http::Response> Front::health(http::Request& request) {
  json::object document;
  bool well = co_await check(document, "postgres", needs_.database.ping());
  if (request.query.find("full") == "1") {
    well &= co_await check(document, "vault", ask_vault(needs_.vault));
    well &= co_await check(document, "redis", ask_redis(needs_.redis));
    well &= co_await check(document, "archivist", needs_.archivist.ping());
  }
  http::Response response;
  response.status = well ? 200 : 503;
  response.headers.set("Content-Type", "application/json");
  response.body = json::serialize(document);
  co_return response;
}

}  // namespace terrane::app
