#include "api/testing_client.h"

#include <cstring>

namespace terrane::api {
namespace {

class StringSource : public http::ByteSource {
 public:
  explicit StringSource(std::string bytes) : bytes_(std::move(bytes)) {}
  Task<std::size_t> read(std::span<char> into) override {
    const std::size_t size = std::min(into.size(), bytes_.size() - at_);
    std::memcpy(into.data(), bytes_.data() + at_, size);
    at_ += size;
    co_return size;
  }

 private:
  std::string bytes_;
  std::size_t at_ = 0;
};

Task<std::optional<double>> no_limit(const std::string&) { co_return std::nullopt; }

Task<std::string> whole_body(http::Response& response) {
  if (!response.stream) co_return std::move(response.body);
  std::string body;
  std::array<char, 16 * 1024> piece;
  while (std::size_t size = co_await response.stream->read(piece)) body.append(piece.data(), size);
  co_return body;
}

}  // namespace

json::value TestAnswer::at(std::string_view pointer) const {
  boost::system::error_code error;
  const json::value* found = json.find_pointer(pointer, error);
  return found ? *found : json::value();
}

std::string TestAnswer::text(std::string_view pointer) const {
  json::value found = at(pointer);
  return found.is_string() ? std::string(found.get_string()) : json::serialize(found);
}

TestClient::TestClient(const http::Router& router, Authenticate authenticate)
    : handler_(handler(router, std::move(authenticate), no_limit, Options{})) {}

Task<TestAnswer> TestClient::call(http::Method method, std::string target, std::string body,
                                  std::string token) const {
  http::Request request;
  request.method = method;
  request.target = target;
  request.path = target.substr(0, target.find('?'));
  request.headers.set("Content-Type", "application/vnd.api+json");
  if (!token.empty()) request.headers.set("Authorization", "Bearer " + token);
  request.content_length = body.size();
  StringSource source(std::move(body));
  request.body = &source;
  request.peer = "127.0.0.1";
  request.id = "test";

  http::Response response;
  try {
    // As the server does, which makes the query before the handler is called.
    if (request.path.size() < target.size())
      request.query = http::Query(std::string_view(target).substr(request.path.size() + 1));
    response = co_await handler_(request);
  } catch (const Error&) {
    response = error_response(request, std::current_exception());
  }
  TestAnswer answer;
  answer.status = response.status;
  answer.body = co_await whole_body(response);
  answer.headers = response.headers;
  boost::system::error_code error;
  answer.json = json::parse(answer.body, error);
  if (error) answer.json = nullptr;
  if (response.after_sent) response.after_sent();
  co_return answer;
}

Task<TestAnswer> TestClient::call(http::Method method, std::string target, const json::object& body,
                                  std::string token) const {
  std::string text = json::serialize(body);
  co_return co_await call(method, std::move(target), std::move(text), std::move(token));
}

json::object test_document(std::string_view type, json::object attributes) {
  return {{"data", json::object{{"type", type}, {"attributes", std::move(attributes)}}}};
}

}  // namespace terrane::api
