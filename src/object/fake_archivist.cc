#include "object/fake_archivist.h"

#include "base/json.h"
#include "base/text.h"
#include "crypto/hash.h"

namespace terrane::object {
namespace {

constexpr std::size_t body_limit = 64 * 1024 * 1024;

http::Response answer(int status, const json::object& body) {
  http::Response response;
  response.status = status;
  response.headers.set("Content-Type", "application/json");
  response.body = json::serialize(body);
  return response;
}

http::Response on_error(const http::Request&, std::exception_ptr failure) {
  int status = 500;
  std::string text = "a defect of the fake";
  try {
    std::rethrow_exception(failure);
  } catch (const Error& error) {
    text = error.what();
    if (error.code() == Code::not_found) status = 404;
    if (error.code() == Code::conflict) status = 409;
    if (error.code() == Code::unprocessable) status = 422;
    if (error.code() == Code::unavailable) status = 503;
  } catch (...) {
    text = current_exception_text();
  }
  return answer(status, {{"error", text}});
}

std::int64_t number(const http::Request& request, std::string_view name) {
  std::optional<std::int64_t> value = parse_int(request.query.find(name).value_or(""));
  if (!value || *value < 0) throw Error(Code::unprocessable, std::string(name) + " must be a number");
  return *value;
}

std::string md5_of(std::string_view bytes) { return hex(crypto::hash(crypto::HashKind::md5, bytes)); }

}  // namespace

FakeArchivist::FakeArchivist(net::Executor executor, postgres::Database& database, const UrlSigner& urls,
                             const std::filesystem::path& socket)
    : database_(database),
      urls_(urls),
      server_(executor, [this](http::Request& request) { return serve(request); }, on_error) {
  using http::Method;
  auto add = [&](Method method, const char* pattern,
                 Task<http::Response> (FakeArchivist::*function)(http::Request&)) {
    http::Handler handler = [this, function](http::Request& request) { return (this->*function)(request); };
    router_.add({method, pattern, std::move(handler), body_limit, false});
  };
  add(Method::post, "/internal/v1/logs/:object/text", &FakeArchivist::append_text);
  add(Method::post, "/internal/v1/logs/:object/sealed", &FakeArchivist::append_sealed);
  add(Method::put, "/internal/v1/objects/:object/plain", &FakeArchivist::put_plain);
  add(Method::put, "/internal/v1/objects/:object", &FakeArchivist::put_sealed);
  add(Method::get, "/internal/v1/objects/:object", &FakeArchivist::get);
  add(Method::get, "/internal/v1/stored/:kind", &FakeArchivist::list_stored);
  add(Method::get, "/internal/v1/stored/:kind/:object", &FakeArchivist::look_at_stored);
  add(Method::put, "/_archivist/v1/object/:token", &FakeArchivist::put_signed);
  add(Method::get, "/_archivist/v1/object/:token", &FakeArchivist::get_signed);
  server_.listen_unix(socket);
}

Task<> FakeArchivist::stop() { return server_.stop(std::chrono::seconds(1)); }

std::string FakeArchivist::log(const std::string& object) const {
  std::string all;
  auto found = logs_.find(object);
  if (found == logs_.end()) return all;
  for (const auto& [number, bytes] : found->second) all += bytes;
  return all;
}

Task<http::Response> FakeArchivist::serve(http::Request& request) {
  if (away_) throw Error(Code::unavailable, "the test wants it so");
  if (request.path == "/internal/v1/ping") co_return answer(200, {});
  const http::Route* route = router_.match(request);
  if (!route) throw Error(Code::not_found, "");
  co_return co_await route->handler(request);
}

Task<http::Response> FakeArchivist::list_stored(http::Request& request) {
  constexpr std::size_t page_size = 2;
  const std::string after(request.query.find("after").value_or(""));
  json::array page;
  std::string next;
  for (const auto& [id, found] : stored_[request.parameter("kind")]) {
    if (id <= after || page.size() == page_size) continue;
    page.push_back(json::value(id));
    if (page.size() == page_size) next = id;
  }
  co_return answer(200, {{"objects", std::move(page)}, {"next", next}});
}

Task<http::Response> FakeArchivist::look_at_stored(http::Request& request) {
  const auto& kept = stored_[request.parameter("kind")];
  auto found = kept.find(request.parameter("object"));
  if (found == kept.end()) throw Error(Code::not_found, "");
  if (found->second.md5.empty()) throw Error(Code::unprocessable, "it does not open");
  co_return answer(200, {{"workspace", found->second.workspace},
                         {"md5", found->second.md5},
                         {"size", found->second.size},
                         {"facts", facts_to_json(found->second.facts)}});
}

Task<Object> FakeArchivist::require(const std::string& id, bool log) {
  postgres::Tx tx = co_await database_.begin();
  std::optional<Object> row = co_await find(tx, Id<Object>(id));
  if (!row || row->status == "deleted" || (row->kind == "log") != log) throw Error(Code::not_found, "");
  co_return *std::move(row);
}

Task<http::Response> FakeArchivist::append_text(http::Request& request) {
  std::string text = co_await http::read_body(request, body_limit);
  Object row = co_await require(request.parameter("object"), true);
  if (row.workspace != request.query.find("workspace"))
    throw Error(Code::unprocessable, "another workspace's log");
  const int segment = static_cast<int>(number(request, "segment"));
  std::map<int, std::string>& segments = logs_[row.id.text()];
  auto [at, is_new] = segments.emplace(segment, text);
  if (!is_new && at->second != text) throw Error(Code::conflict, "the segment holds something else");
  ++writes_;
  co_return answer(200, {});
}

Task<http::Response> FakeArchivist::append_sealed(http::Request& request) {
  std::string bytes = co_await http::read_body(request, body_limit);
  Object row = co_await require(request.parameter("object"), true);
  const int segment = static_cast<int>(number(request, "segment"));
  const std::size_t position = static_cast<std::size_t>(number(request, "position"));
  std::map<int, std::string>& segments = logs_[row.id.text()];
  const bool is_over = !segments.empty() && segments.rbegin()->first > segment;
  std::string& held = segments[segment];
  if (is_over || position > held.size()) co_return answer(409, {{"size", held.size()}});
  if (position + bytes.size() > held.size()) held.replace(position, std::string::npos, bytes);
  ++writes_;
  co_return answer(200, {{"size", held.size()}});
}

http::Response FakeArchivist::stored(const Id<Object>& id) const {
  const std::string& bytes = objects_.at(id.text());
  http::Response response = answer(200, {{"size", bytes.size()}, {"md5", md5_of(bytes)}});
  response.headers.set("X-Terrane-Size", std::to_string(bytes.size()));
  response.headers.set("X-Terrane-Md5", md5_of(bytes));
  return response;
}

Task<http::Response> FakeArchivist::store(Id<Object> id, std::string bytes, bool plain) {
  auto [at, is_new] = objects_.emplace(id.text(), bytes);
  if (!is_new && at->second != bytes) throw Error(Code::conflict, "the object has other bytes");
  ++writes_;
  // Without the key the real one knows no MD5 of sealed bytes.
  std::optional<std::string> md5;
  if (plain) md5 = md5_of(bytes);
  postgres::Tx tx = co_await database_.begin();
  co_await mark_live(tx, id, static_cast<std::int64_t>(bytes.size()), md5);
  co_await tx.commit();
  co_return stored(id);
}

Task<http::Response> FakeArchivist::put_plain(http::Request& request) {
  std::string bytes = co_await http::read_body(request, body_limit);
  Object row = co_await require(request.parameter("object"), false);
  co_return co_await store(row.id, std::move(bytes), true);
}

Task<http::Response> FakeArchivist::put_sealed(http::Request& request) {
  std::string bytes = co_await http::read_body(request, body_limit);
  Object row = co_await require(request.parameter("object"), false);
  co_return co_await store(row.id, std::move(bytes), false);
}

Task<http::Response> FakeArchivist::get(http::Request& request) {
  Object row = co_await require(request.parameter("object"), false);
  if (!has(row.id.text())) throw Error(Code::not_found, "");
  http::Response response;
  response.body = bytes(row.id.text());
  co_return response;
}

Grant FakeArchivist::require_grant(const http::Request& request, Access access) const {
  std::optional<Grant> grant = urls_.verify(request.parameter("token"));
  if (!grant || grant->access != access) throw Error(Code::not_found, "");
  return *grant;
}

Task<http::Response> FakeArchivist::put_signed(http::Request& request) {
  std::string bytes = co_await http::read_body(request, body_limit);
  Object row = co_await require(require_grant(request, Access::write).object.text(), false);
  co_return co_await store(row.id, std::move(bytes), true);
}

Task<http::Response> FakeArchivist::get_signed(http::Request& request) {
  Object row = co_await require(require_grant(request, Access::read).object.text(), false);
  if (!has(row.id.text())) throw Error(Code::not_found, "");
  http::Response response;
  response.body = bytes(row.id.text());
  co_return response;
}

}  // namespace terrane::object
