#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "api/api.h"
#include "base/json.h"
#include "http/message.h"
#include "http/router.h"

namespace terrane::api {

/// An answer as a test looks at it: `json` is null when there is no body or it is no JSON.
struct TestAnswer {
  int status = 0;
  json::value json;
  std::string body;
  http::Headers headers;

  /// The value at a JSON pointer; null when there is none.
  json::value at(std::string_view pointer) const;
  /// The same as text: a string as it is, anything else serialized.
  std::string text(std::string_view pointer) const;
};

/// Sends requests of tests through a router's handler without sockets, with everything that api::handler
/// does. The router must outlive it.
class TestClient {
 public:
  /// `authenticate` as for api::handler; no rate limit.
  TestClient(const http::Router& router, Authenticate authenticate);

  /// Sends one request and suspends until its answer. `target` is path and query; an empty `token` sends
  /// none.
  Task<TestAnswer> call(http::Method method, std::string target, std::string body, std::string token) const;
  /// The same with a JSON body.
  Task<TestAnswer> call(http::Method method, std::string target, const json::object& body,
                        std::string token) const;

 private:
  http::Handler handler_;
};

/// `{"data": {"type", "attributes"}}`.
json::object test_document(std::string_view type, json::object attributes);

}  // namespace terrane::api
