#include "object/archivist_client.h"

#include "base/error.h"
#include "base/json.h"

namespace terrane::object {
namespace {

/// Turns an answer that is no success into the Error it stands for.
Task<> expect_success(http::ClientResponse& response, std::string_view what) {
  if (response.status < 300) co_return;
  std::string text = co_await response.text(64 * 1024);
  Code code = Code::unavailable;
  if (response.status == 404) code = Code::not_found;
  if (response.status == 409) code = Code::conflict;
  if (response.status == 400 || response.status == 422) code = Code::internal;
  Error error(code, code == Code::unavailable ? "The blob service is not available now."
                                              : "The blob service refused: " + text);
  error.add_context(std::string(what) + " answered " + std::to_string(response.status) + ": " + text);
  throw error;
}

http::ClientOptions options() {
  http::ClientOptions options;
  options.connections = 64;
  return options;
}

http::Endpoint endpoint(std::filesystem::path socket) {
  http::Endpoint endpoint;
  endpoint.host = "archivist";
  endpoint.unix_path = std::move(socket);
  return endpoint;
}

}  // namespace

ArchivistClient::ArchivistClient(net::Executor executor, std::filesystem::path socket)
    : client_(executor, endpoint(std::move(socket)), options()) {}

Task<> ArchivistClient::append_text(const Id<Object>& log, const std::string& workspace, int segment,
                                    std::string_view text) {
  http::ClientRequest request;
  request.method = http::Method::post;
  request.target = "/internal/v1/logs/" + log.text() + "/text?workspace=" + workspace +
                   "&segment=" + std::to_string(segment);
  request.body = std::string(text);
  http::ClientResponse response = co_await client_.send(std::move(request));
  co_await expect_success(response, "append_text");
}

Task<ArchivistClient::Appended> ArchivistClient::append_sealed(const Id<Object>& log, int segment,
                                                               std::int64_t position, std::string bytes) {
  http::ClientRequest request;
  request.method = http::Method::post;
  request.target = "/internal/v1/logs/" + log.text() + "/sealed?segment=" + std::to_string(segment) +
                   "&position=" + std::to_string(position);
  request.body = std::move(bytes);
  http::ClientResponse response = co_await client_.send(std::move(request));
  const bool refused = response.status == 409;
  if (!refused) co_await expect_success(response, "append_sealed");
  std::string text = co_await response.text(64 * 1024);
  json::value value = parse_json(text);
  if (!value.is_object()) throw Error(Code::unavailable, "The blob service answered something unknown.");
  co_return Appended{!refused, require_int(value.get_object(), "size")};
}

Task<> ArchivistClient::put_sealed(const Id<Object>& object, http::ByteSource& bytes, std::uint64_t length) {
  http::ClientRequest request;
  request.method = http::Method::put;
  request.target = "/internal/v1/objects/" + object.text();
  request.stream = &bytes;
  request.stream_length = length;
  http::ClientResponse response = co_await client_.send(std::move(request));
  co_await expect_success(response, "put_sealed");
}

Task<ArchivistClient::Stored> ArchivistClient::put_plain(const Id<Object>& object, http::ByteSource& bytes) {
  http::ClientRequest request;
  request.method = http::Method::put;
  request.target = "/internal/v1/objects/" + object.text() + "/plain";
  request.stream = &bytes;
  http::ClientResponse response = co_await client_.send(std::move(request));
  co_await expect_success(response, "put_plain");
  std::string text = co_await response.text(1024);
  json::value value = parse_json(text);
  co_return Stored{require_int(value.as_object(), "size"), require_string(value.as_object(), "md5")};
}

Task<http::ClientResponse> ArchivistClient::get(const Id<Object>& object) {
  http::ClientRequest request;
  request.target = "/internal/v1/objects/" + object.text();
  http::ClientResponse response = co_await client_.send(std::move(request));
  co_await expect_success(response, "get");
  co_return response;
}

Task<ArchivistClient::StoredPage> ArchivistClient::stored(std::string_view kind, std::string after) {
  http::ClientRequest request;
  request.target = "/internal/v1/stored/" + std::string(kind);
  if (!after.empty()) request.target += "?after=" + after;  // a name in the store: nothing to be escaped
  http::ClientResponse response = co_await client_.send(std::move(request));
  co_await expect_success(response, "stored");
  std::string text = co_await response.text(256 * 1024);
  const json::value value = parse_json(text);
  StoredPage page;
  page.next = require_string(value.as_object(), "next");
  for (const json::value& id : value.at("objects").as_array()) page.objects.emplace_back(id.as_string());
  co_return page;
}

Task<ArchivistClient::StoredObject> ArchivistClient::look_at_stored(std::string_view kind,
                                                                    const Id<Object>& object) {
  http::ClientRequest request;
  request.target = "/internal/v1/stored/" + std::string(kind) + "/" + object.text();
  http::ClientResponse response = co_await client_.send(std::move(request));
  co_await expect_success(response, "look_at_stored");
  std::string text = co_await response.text(64 * 1024);
  const json::value value = parse_json(text);
  const json::object& found = value.as_object();
  co_return StoredObject{require_string(found, "workspace"), require_string(found, "md5"),
                         require_int(found, "size"), facts_from_json(value.at("facts"))};
}

Task<> ArchivistClient::ping() {
  http::ClientRequest request;
  request.target = "/internal/v1/ping";
  http::ClientResponse response = co_await client_.send(std::move(request));
  co_await expect_success(response, "ping");
}

Task<http::Response> ArchivistClient::forward(http::Request& request) {
  http::ClientRequest outgoing;
  outgoing.method = request.method;
  outgoing.target = request.target;
  for (std::string_view name : {"Range", "If-None-Match", "Content-Type"}) {
    if (auto value = request.headers.find(name)) outgoing.headers.set(name, *value);
  }
  if (request.method == http::Method::put || request.method == http::Method::post) {
    outgoing.stream = request.body;
    outgoing.stream_length = request.content_length;
  }
  http::ClientResponse incoming = co_await client_.send(std::move(outgoing));
  http::Response response;
  response.status = incoming.status;
  for (std::string_view name : {"Content-Type", "Content-Range", "Accept-Ranges", "ETag", "Retry-After",
                                "Content-Disposition", "X-Terrane-Size", "X-Terrane-Md5"}) {
    if (auto value = incoming.headers.find(name)) response.headers.set(name, *value);
  }
  response.stream = incoming.body;
  response.stream_length = incoming.content_length;
  co_return response;
}

}  // namespace terrane::object
