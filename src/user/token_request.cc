#include "user/token_request.h"

#include "base/text.h"
#include "jsonapi/resource.h"

namespace terrane::user {
namespace {

constexpr std::size_t body_limit = 64 * 1024;

std::optional<std::string> short_description(const json::value& given) {
  if (given.is_string() && given.get_string().size() > 255)
    return "Description is too long (maximum is 255 bytes)";
  return std::nullopt;
}

std::optional<std::string> in_future(const json::value& given) {
  std::optional<Time> time = given.is_string() ? parse_time(given.get_string()) : std::nullopt;
  if (time && *time <= now()) return "Expired at must be in the future";
  return std::nullopt;
}

const std::array attributes{
    jsonapi::attr<&TokenRequest::description>("description", "description", jsonapi::create,
                                              short_description),
    jsonapi::attr<&TokenRequest::expired_at>("expired-at", "expired_at", jsonapi::create, in_future),
};
const jsonapi::Resource table{"authentication-tokens", attributes, {}};

}  // namespace

Task<TokenRequest> read_token_request(http::Request& request, std::string_view type) {
  TokenRequest wanted;
  std::string body = co_await http::read_body(request, body_limit);
  if (trim(body).empty()) co_return wanted;
  json::object data = jsonapi::parse_data(body, type);
  jsonapi::decode(table, data, jsonapi::create, &wanted);
  co_return wanted;
}

}  // namespace terrane::user
