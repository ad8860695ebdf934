#include "archivist/archivist.h"

#include "api/api.h"
#include "archivist/archivist_sql.h"
#include "archivist/download.h"
#include "archivist/inventory.h"
#include "archivist/logs.h"
#include "archivist/upload.h"
#include "base/log.h"
#include "base/text.h"
#include "sealed/log.h"

namespace terrane::archivist {
namespace {

using http::Method;

constexpr std::size_t log_answer = 64 * 1024;  // bytes, unless the reader asks for another limit
constexpr std::int64_t log_answer_limit = 1024 * 1024;
constexpr std::size_t publishing_limit = 256;  // messages to Redis under way
constexpr std::size_t body_limit = std::size_t{4}
                                   << 30;  // the limit of each kind is judged where the kind is known
constexpr std::string_view log_channel = "log:";

std::string_view content_type(std::string_view kind) {
  if (kind == "plan-json" || kind == "json-state" || kind == "schemas") return "application/json";
  if (kind == "configuration") return "application/x-gzip";
  return "application/octet-stream";
}

http::Response json_answer(int status, const json::object& object) {
  http::Response response;
  response.status = status;
  response.headers.set("Content-Type", "application/json");
  response.body = json::serialize(object);
  return response;
}

/// The answer to an upload. Web reads the fields, since it passes the body on.
http::Response stored_answer(const Stored& stored) {
  json::object body{{"size", stored.size}, {"md5", stored.md5 ? json::value(*stored.md5) : json::value()}};
  http::Response response = json_answer(200, body);
  response.headers.set("X-Terrane-Size", std::to_string(stored.size));
  if (stored.md5) response.headers.set("X-Terrane-Md5", *stored.md5);
  return response;
}

std::int64_t require_number(const http::Request& request, std::string_view name) {
  std::optional<std::int64_t> number = parse_int(request.query.find(name).value_or(""));
  if (!number || *number < 0) {
    throw Error(Code::invalid, "The parameter " + std::string(name) + " must be a whole number from 0.");
  }
  return *number;
}

/// A number of a log reader: whatever it asks, it must never get a refusal.
std::int64_t forgiving_number(const http::Request& request, std::string_view name, std::int64_t otherwise) {
  std::optional<std::int64_t> number = parse_int(request.query.find(name).value_or(""));
  return number && *number >= 0 ? *number : otherwise;
}

int require_segment(const http::Request& request) {
  return static_cast<int>(std::min<std::int64_t>(require_number(request, "segment"), segment_limit + 1));
}

}  // namespace

struct Archivist::Impl : std::enable_shared_from_this<Archivist::Impl> {
  explicit Impl(Archivist::Needs given)
      : needs(given),
        keys(needs.vault),
        rows(needs.database),
        uploads({needs.database, needs.vault, needs.store, rows, keys}),
        inventory(needs.store, keys),
        logs({needs.executor, needs.store, needs.vault, keys,
              [this](const std::string& object) { publish(object); }}) {}

  Task<Row> require_grant(const http::Request& request, object::Access access);
  Task<Object> require_object(const http::Request& request);
  Task<Object> require_log(const http::Request& request);

  Task<http::Response> put_signed(http::Request& request);
  Task<http::Response> get_signed(http::Request& request);
  Task<http::Response> read_log(http::Request& request);
  Task<http::Response> append_sealed(http::Request& request);
  Task<http::Response> append_text(http::Request& request);
  Task<http::Response> put_sealed(http::Request& request);
  Task<http::Response> put_plain(http::Request& request);
  Task<http::Response> get_plain(http::Request& request);
  Task<http::Response> list_stored(http::Request& request);
  Task<http::Response> look_at_stored(http::Request& request);

  Task<http::Response> download(const http::Request& request, Object row);
  void publish(const std::string& object);
  static Task<> publish_one(std::shared_ptr<Impl> self, std::string object);
  Task<std::size_t> sweep_some();

  Archivist::Needs needs;
  KeyCache keys;
  Rows rows;
  Uploads uploads;
  Inventory inventory;
  Logs logs;
  const std::string own_name = random_id_suffix();  // tells our own messages from those of others
  std::size_t publishing = 0;
};

Archivist::Archivist(Needs needs) : impl_(std::make_shared<Impl>(needs)) {}
Archivist::~Archivist() = default;

void Archivist::add_routes(http::Router& router) {
  Impl* impl = impl_.get();
  auto row = [&](Method method, const char* pattern, http::Handler serve, std::size_t limit = 1024) {
    router.add({method, pattern, std::move(serve), limit, false});
  };
  row(Method::put, "/_archivist/v1/object/:token", api::bind<&Impl::put_signed>(impl), body_limit);
  row(Method::get, "/_archivist/v1/object/:token", api::bind<&Impl::get_signed>(impl));
  row(Method::get, "/_archivist/v1/log/:token", api::bind<&Impl::read_log>(impl));
  row(Method::post, "/internal/v1/logs/:object/sealed", api::bind<&Impl::append_sealed>(impl),
      blob::append_limit);
  row(Method::post, "/internal/v1/logs/:object/text", api::bind<&Impl::append_text>(impl), text_limit);
  row(Method::put, "/internal/v1/objects/:object", api::bind<&Impl::put_sealed>(impl), body_limit);
  row(Method::put, "/internal/v1/objects/:object/plain", api::bind<&Impl::put_plain>(impl), body_limit);
  row(Method::get, "/internal/v1/objects/:object", api::bind<&Impl::get_plain>(impl));
  row(Method::get, "/internal/v1/stored/:kind", api::bind<&Impl::list_stored>(impl));
  row(Method::get, "/internal/v1/stored/:kind/:object", api::bind<&Impl::look_at_stored>(impl));
}

void Archivist::on_message(const std::string& channel, const std::string& payload) {
  if (channel.empty()) impl_->logs.wake_all();
  if (channel.starts_with(log_channel) && payload != impl_->own_name)
    impl_->logs.wake(channel.substr(log_channel.size()));
}

/// The row that the request's token grants `access` to. It is read now, so that what was deleted or hidden
/// is closed at once; that of a log, which is asked for over and over, may be a second old.
Task<Row> Archivist::Impl::require_grant(const http::Request& request, object::Access access) {
  std::optional<object::Grant> grant = needs.urls.verify(request.parameter("token"));
  if (!grant || grant->access != access) throw Error(Code::not_found, "");
  std::optional<Row> row;
  if (access == object::Access::log)
    row = co_await rows.recent(grant->object);
  else
    row = co_await rows.fresh(grant->object);
  if (!row || row->object.status == "deleted" || row->hidden) throw Error(Code::not_found, "");
  if ((row->object.kind == sealed::log_kind) != (access == object::Access::log))
    throw Error(Code::not_found, "");
  if (row->now >= grant->expires) throw Error(Code::not_found, "This URL has expired.");
  co_return std::move(*row);
}

/// The row that the path of a request inside the platform names.
Task<Object> Archivist::Impl::require_object(const http::Request& request) {
  std::optional<Row> row = co_await rows.fresh(Id<Object>(request.parameter("object")));
  if (!row || row->object.status == "deleted" || row->object.kind == sealed::log_kind)
    throw Error(Code::not_found, "");
  co_return std::move(row->object);
}

Task<Object> Archivist::Impl::require_log(const http::Request& request) {
  std::optional<Row> row = co_await rows.fresh(Id<Object>(request.parameter("object")));
  if (!row || row->object.status == "deleted" || row->object.kind != sealed::log_kind)
    throw Error(Code::not_found, "");
  co_return std::move(row->object);
}

Task<http::Response> Archivist::Impl::put_signed(http::Request& request) {
  Row row = co_await require_grant(request, object::Access::write);
  co_return stored_answer(co_await uploads.put_plain(std::move(row.object), request));
}

Task<http::Response> Archivist::Impl::get_signed(http::Request& request) {
  Row row = co_await require_grant(request, object::Access::read);
  co_return co_await download(request, std::move(row.object));
}

Task<http::Response> Archivist::Impl::put_sealed(http::Request& request) {
  Object row = co_await require_object(request);
  co_return stored_answer(co_await uploads.put_sealed(std::move(row), request));
}

Task<http::Response> Archivist::Impl::put_plain(http::Request& request) {
  Object row = co_await require_object(request);
  co_return stored_answer(co_await uploads.put_plain(std::move(row), request));
}

Task<http::Response> Archivist::Impl::get_plain(http::Request& request) {
  Object row = co_await require_object(request);
  co_return co_await download(request, std::move(row));
}

Task<http::Response> Archivist::Impl::list_stored(http::Request& request) {
  std::string after(request.query.find("after").value_or(""));
  Inventory::Page page = co_await inventory.page(request.parameter("kind"), std::move(after));
  co_return json_answer(200, {{"objects", json::value_from(page.objects)}, {"next", page.next}});
}

Task<http::Response> Archivist::Impl::look_at_stored(http::Request& request) {
  Inventory::Found found = co_await inventory.look(request.parameter("kind"), request.parameter("object"));
  co_return json_answer(200, {{"workspace", found.workspace},
                              {"size", found.size},
                              {"md5", found.md5},
                              {"facts", object::facts_to_json(found.facts)}});
}

Task<http::Response> Archivist::Impl::download(const http::Request& request, Object row) {
  if (row.status != "live") throw Error(Code::not_found, "");
  http::Response response;
  // An object never changes, so its id is the best tag.
  std::string tag = "\"" + row.id.text() + "\"";
  response.headers.set("Content-Type", content_type(row.kind));
  response.headers.set("ETag", tag);
  response.headers.set("Accept-Ranges", "bytes");
  if (request.headers.find("If-None-Match") == std::string_view(tag)) {
    response.status = 304;
    co_return response;
  }
  SealedObject object = co_await SealedObject::open(needs.store, std::move(row));
  ByteRange range{0, object.size()};
  std::optional<std::string_view> field = request.headers.find("Range");
  if (field && request.method == Method::get) {
    try {
      if (std::optional<ByteRange> asked = parse_range(*field, object.size())) {
        range = *asked;
        response.status = 206;
        response.headers.set("Content-Range", "bytes " + std::to_string(range.first) + "-" +
                                                  std::to_string(range.first + range.length - 1) + "/" +
                                                  std::to_string(object.size()));
      }
    } catch (const RangeNotSatisfiable& error) {
      json::object item{{"status", "416"}, {"title", "range not satisfiable"}, {"detail", error.detail()}};
      response = api::answer(416, {{"errors", json::array{std::move(item)}}});
      response.headers.set("Content-Range", "bytes */" + std::to_string(object.size()));
      co_return response;
    }
  }
  response.stream = co_await object.read(keys, range);
  response.stream_length = range.length;
  co_return response;
}

Task<http::Response> Archivist::Impl::read_log(http::Request& request) {
  Row row = co_await require_grant(request, object::Access::log);
  std::int64_t limit = std::min(forgiving_number(request, "limit", log_answer), log_answer_limit);
  std::int64_t offset = forgiving_number(request, "offset", 0);
  http::Response response;
  response.headers.set("Content-Type", "text/plain; charset=utf-8");
  response.body = co_await logs.read(std::move(row.object), static_cast<std::uint64_t>(offset),
                                     static_cast<std::size_t>(limit));
  co_return response;
}

Task<http::Response> Archivist::Impl::append_sealed(http::Request& request) {
  const std::string object = request.parameter("object");
  const int segment = require_segment(request);
  const std::int64_t position = require_number(request, "position");
  std::string bytes = co_await http::read_body(request, blob::append_limit);
  if (position == 0 && !bytes.empty()) check_segment_header(bytes, co_await require_log(request));
  try {
    std::uint64_t size =
        co_await logs.append(object, segment, static_cast<std::uint64_t>(position), std::move(bytes));
    co_return json_answer(200, {{"size", size}});
  } catch (const Error& error) {
    if (error.code() != Code::conflict) throw;
  }
  co_return json_answer(409, {{"size", co_await logs.size(object, segment)}});
}

Task<http::Response> Archivist::Impl::append_text(http::Request& request) {
  const int segment = require_segment(request);
  const std::string workspace(request.query.find("workspace").value_or(""));
  std::string text = co_await http::read_body(request, text_limit);
  Object row = co_await require_log(request);
  if (row.workspace != workspace) throw Error(Code::unprocessable, "This log belongs to another workspace.");
  co_await logs.append_text(std::move(row), segment, std::move(text));
  co_return json_answer(200, {});
}

/// Tells other archivists, whose readers may wait for these bytes. Nobody waits for Redis: it only makes them
/// faster.
void Archivist::Impl::publish(const std::string& object) {
  if (!needs.redis || publishing >= publishing_limit) return;
  net::spawn(needs.executor, "publish a log's growth", publish_one(shared_from_this(), object));
}

Task<> Archivist::Impl::publish_one(std::shared_ptr<Impl> self, std::string object) {
  struct Count {
    std::size_t& count;
    explicit Count(std::size_t& of) : count(of) { ++count; }
    ~Count() { --count; }
  } count(self->publishing);
  try {
    co_await self->needs.redis->publish(std::string(log_channel) + object, self->own_name);
  } catch (const Error& error) {
    log::debug("the growth of a log could not be published", {{"object", object}, {"error", error.what()}});
  }
}

/// Removes the bytes of some deleted objects; returns of how many.
Task<std::size_t> Archivist::Impl::sweep_some() {
  constexpr int batch = 200;
  postgres::Result rows_found =
      co_await needs.database.query(sql::archivist_deleted, postgres::Params::of(batch));
  std::size_t swept = 0;
  for (std::size_t i = 0; i < rows_found.size(); ++i) {
    std::string id = rows_found[i].string("id");
    std::string kind = rows_found[i].string("kind");
    try {
      if (kind == sealed::log_kind)
        co_await logs.remove(id);
      else
        co_await needs.store.remove(blob::object_name(kind, id));
      co_await needs.database.query(sql::archivist_swept, postgres::Params::of(id));
      ++swept;
    } catch (const Error& error) {
      if (error.code() == Code::unavailable) throw;
      log::error("the bytes of a deleted object cannot be removed",
                 {{"object", id}, {"error", error.what()}});
    }
  }
  co_return swept;
}

Task<> Archivist::sweep() {
  std::shared_ptr<Impl> impl = impl_;
  co_await impl->needs.database.query(sql::archivist_give_up_uploads);
  while (co_await impl->sweep_some() > 0) continue;
}

Task<> Archivist::run_sweeper(net::Stop& stop) {
  while (!co_await stop.wait_for(std::chrono::minutes(10))) {
    try {
      co_await sweep();
    } catch (const Error& error) {
      log::warn("objects could not be swept", {{"error", error.what()}});
    }
  }
}

namespace {

/// What serves a router.
struct Gate {
  const http::Router& router;

  Task<http::Response> serve(http::Request& request) const {
    // Logs show the route and not the path, which may hold the secret of a URL.
    http::Request shown;
    shown.id = request.id;
    std::exception_ptr failure;
    try {
      const http::Route* route = router.match(request);
      if (!route) throw Error(Code::not_found, "");
      shown.path = route->pattern;
      if (request.content_length && *request.content_length > route->body_limit) {
        throw Error(Code::too_large,
                    "At most " + std::to_string(route->body_limit) + " bytes are allowed here.");
      }
      co_return co_await route->handler(request);
    } catch (...) {
      failure = std::current_exception();
    }
    co_return api::error_response(shown, failure);
  }
};

}  // namespace

http::Handler handler(const http::Router& router) {
  auto gate = std::make_shared<Gate>(Gate{router});
  return [gate](http::Request& request) -> Task<http::Response> { return gate->serve(request); };
}

}  // namespace terrane::archivist
