#pragma once
#include <string>
#include <vector>

#include "base/json.h"
#include "http/router.h"
#include "jsonapi/schema.h"

namespace terrane::api {

/// Our OpenAPI 3.1 document, and the rows that it had to leave out because no schema has the name they give.
struct OpenApi {
  json::object document;
  std::vector<std::string> undescribed;  ///< `GET /api/v2/…`
};

/// Describes the rows of API v2 (other rows are not for its clients) with the schemas of their resources.
OpenApi openapi(const http::Router& router, const std::vector<jsonapi::Schema>& schemas);

}  // namespace terrane::api
