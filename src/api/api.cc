#include "api/api.h"

#include "base/log.h"
#include "base/text.h"

namespace terrane::api {
namespace {

constexpr std::string_view media_type = "application/vnd.api+json";

int status_of(Code code) {
  switch (code) {
    case Code::invalid: return 400;
    case Code::unauthorized: return 401;
    case Code::forbidden: return 403;
    case Code::not_found: return 404;
    case Code::conflict: return 409;
    case Code::precondition_failed: return 412;
    case Code::too_large: return 413;
    case Code::unprocessable: return 422;
    case Code::rate_limited: return 429;
    case Code::unavailable: return 503;
    case Code::internal: return 500;
  }
  return 500;
}

std::string_view title_of(Code code) {
  switch (code) {
    case Code::invalid: return "bad request";
    case Code::unauthorized: return "unauthorized";
    case Code::forbidden: return "forbidden";
    case Code::not_found: return "not found";
    case Code::conflict: return "conflict";
    case Code::precondition_failed: return "precondition failed";
    case Code::too_large: return "payload too large";
    case Code::unprocessable: return "invalid attribute";
    case Code::rate_limited: return "too many requests";
    case Code::unavailable: return "service unavailable";
    case Code::internal: return "internal server error";
  }
  return "internal server error";
}

http::Response errors(const Error& error) {
  json::array list;
  for (const Problem& problem : error.problems()) {
    json::object item{{"status", std::to_string(status_of(error.code()))}, {"title", title_of(error.code())}};
    if (!problem.detail.empty() && error.code() != Code::internal) item["detail"] = problem.detail;
    if (!problem.pointer.empty()) item["source"] = json::object{{"pointer", problem.pointer}};
    list.push_back(std::move(item));
  }
  http::Response response = answer(status_of(error.code()), json::object{{"errors", std::move(list)}});
  if (error.code() == Code::unavailable) response.headers.set("Retry-After", "1");
  return response;
}

/// The token of `Authorization: Bearer …`.
std::optional<std::string> bearer(const http::Request& request) {
  std::optional<std::string_view> header = request.headers.find("Authorization");
  if (!header || header->size() < 7 || lower(header->substr(0, 7)) != "bearer ") return std::nullopt;
  return std::string(trim(header->substr(7)));
}

/// A request's path as logs may show it: that of a signed URL ends with its secret.
std::string loggable_path(const http::Request& request) {
  constexpr std::string_view signed_urls = "/_archivist/";
  return request.path.starts_with(signed_urls) ? std::string(signed_urls) + "…" : request.path;
}

struct Gate {
  const http::Router& router;
  Authenticate authenticate;
  RateLimit rate_limit;
  Options options;

  Task<http::Response> route(http::Request& request) const {
    const http::Route* route = router.match(request);
    std::string key = request.peer;
    if (!route || route->authenticated) {
      std::optional<std::string> token = bearer(request);
      std::optional<Principal> found;
      if (token) found = co_await authenticate(*token);
      if (!found) throw Error(Code::unauthorized, "");
      key = found->id;
      request.principal = std::move(*found);
    }
    if (options.requests_per_second > 0) {
      if (std::optional<double> wait = co_await rate_limit(key)) {
        http::Response response =
            errors(Error(Code::rate_limited, "You have exceeded the API's rate limit."));
        response.headers.set("X-RateLimit-Reset", std::to_string(*wait));
        co_return response;
      }
    }
    if (!route) throw Error(Code::not_found, "");
    if (request.content_length && *request.content_length > route->body_limit) {
      throw Error(Code::too_large, "The body has " + std::to_string(*request.content_length) +
                                       " bytes; at most " + std::to_string(route->body_limit) +
                                       " are allowed here.");
    }
    co_return co_await route->handler(request);
  }

  Task<http::Response> operator()(http::Request& request) const {
    http::Response response;
    try {
      response = co_await route(request);
    } catch (...) {
      response = error_response(request, std::current_exception());
    }
    response.headers.set("TFP-API-Version", "2.6");
    response.headers.set("TFP-AppName", "Terraform Enterprise");
    response.headers.set("X-TFE-Version", options.version);
    response.headers.set("X-TFE-Current-Version", "1.1.0");
    response.headers.set("X-Request-Id", request.id);
    response.headers.set("Cache-Control", "no-store");
    if (options.requests_per_second > 0)
      response.headers.set("X-RateLimit-Limit", std::to_string(options.requests_per_second));
    co_return response;
  }
};

}  // namespace

http::Handler handler(const http::Router& router, Authenticate authenticate, RateLimit rate_limit,
                      Options options) {
  auto gate = std::make_shared<Gate>(
      Gate{router, std::move(authenticate), std::move(rate_limit), std::move(options)});
  return [gate](http::Request& request) -> Task<http::Response> { return (*gate)(request); };
}

http::Response error_response(const http::Request& request, std::exception_ptr failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    if (error.code() == Code::internal || error.code() == Code::unavailable) {
      log::error("request failed",
                 {{"request_id", request.id}, {"path", loggable_path(request)}, {"error", error.what()}});
    }
    return errors(error);
  } catch (...) {
    log::error(
        "request failed",
        {{"request_id", request.id}, {"path", loggable_path(request)}, {"error", current_exception_text()}});
    return errors(Error(Code::internal, ""));
  }
}

const Principal& principal(const http::Request& request) {
  const Principal* found = std::any_cast<Principal>(&request.principal);
  if (!found) throw Error(Code::internal, "An open route asked who is there.");
  return *found;
}

http::Response answer(int status, const json::object& document) {
  http::Response response;
  response.status = status;
  response.headers.set("Content-Type", media_type);
  response.body = json::serialize(document);
  return response;
}

http::Response no_content() {
  http::Response response;
  response.status = 204;
  return response;
}

Task<json::object> read_data(http::Request& request, std::string_view type, std::size_t limit) {
  std::string body = co_await http::read_body(request, limit);
  co_return jsonapi::parse_data(body, type);
}

Task<json::object> read_object(http::Request& request, std::size_t limit) {
  std::string body = co_await http::read_body(request, limit);
  if (trim(body).empty()) co_return json::object{};
  json::value value = parse_json(body);
  if (!value.is_object()) throw Error(Code::unprocessable, "The body must be a JSON object.", "");
  co_return value.get_object();
}

}  // namespace terrane::api
