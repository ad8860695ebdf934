#include "shim/job_api.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "sandbox/descriptor.h"
#include "shim/run_files.h"

namespace terrane::shim {
namespace {

using namespace std::chrono_literals;
using namespace worker_protocol;

constexpr std::size_t answer_limit = 64 * 1024 * 1024;  // a job with many variables
constexpr auto beat_time = 4s;                          // a beat is soon followed by the next
constexpr auto upload_time = 120s;

/// A file's bytes as the body of a request. The page cache holds what was just written, so it reads in place.
class FileSource : public http::ByteSource {
 public:
  explicit FileSource(const std::filesystem::path& path)
      : file_(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC)) {
    struct stat status{};
    if (!file_ || ::fstat(file_.get(), &status) != 0)
      throw Error(Code::internal, "Opening " + path.string() + " failed.");
    size_ = static_cast<std::uint64_t>(status.st_size);
  }
  Task<std::size_t> read(std::span<char> into) override {
    ssize_t got = ::pread(file_.get(), into.data(), into.size(), static_cast<off_t>(position_));
    if (got < 0) throw Error(Code::internal, "Reading a spooled object failed.");
    position_ += static_cast<std::uint64_t>(got);
    co_return static_cast<std::size_t>(got);
  }
  std::uint64_t size() const noexcept { return size_; }

 private:
  sandbox::Descriptor file_;
  std::uint64_t size_ = 0;
  std::uint64_t position_ = 0;
};

// The server's own words, when its answer has some.
std::string detail_of(const std::string& body) {
  boost::system::error_code broken;
  json::value document = json::parse(body, broken);
  if (broken || !document.is_object()) return {};
  if (auto detail = find_string(document.get_object(), "detail")) return *detail;
  if (auto error = find_string(document.get_object(), "error")) return *error;
  const json::array* errors = find_array(document.get_object(), "errors");
  if (!errors || errors->empty() || !errors->front().is_object()) return {};
  return find_string(errors->front().get_object(), "detail").value_or("");
}

[[noreturn]] void refuse(int status, const std::string& target, const std::string& body) {
  std::string detail = detail_of(body);
  std::string text =
      "The job API answered " + std::to_string(status) + (detail.empty() ? "." : ": " + detail);
  Code code = Code::invalid;
  if (status == 409 || status == 404 || status == 410) code = Code::conflict;
  if (status >= 500 || status == 429 || status == 408 || status == 401 || status == 403)
    code = Code::unavailable;
  Error error(code, text);
  error.add_context(target.substr(0, target.find('?')));
  throw error;
}

json::object object_of(const std::string& body) {
  json::value document = parse_json(body);
  if (!document.is_object()) throw Error(Code::unavailable, "The job API's answer is no JSON object.");
  return document.get_object();
}

std::string path_of(const Lease& lease, std::string_view what) {
  return "/job/v1/jobs/" + lease.job + "/" + std::string(what);
}

}  // namespace

JobApi::JobApi(net::Executor executor, http::Endpoint endpoint)
    : client_(std::move(executor), std::move(endpoint), http::ClientOptions{.connections = 16}) {}

Task<std::string> JobApi::call(http::ClientRequest request) {
  std::string target = request.target;
  http::ClientResponse response = co_await client_.send(std::move(request));
  std::string body = co_await response.text(answer_limit);
  if (response.status < 200 || response.status > 299) refuse(response.status, target, body);
  co_return body;
}

Task<std::string> JobApi::post(const Lease* lease, std::string target, std::string body) {
  http::ClientRequest request;
  request.method = http::Method::post;
  request.target = std::move(target);
  request.headers.add("Content-Type", "application/json");
  if (lease) request.headers.add(lease_header, lease->lease);
  request.body = std::move(body);
  co_return co_await call(std::move(request));
}

Task<NodeAnswer> JobApi::report_node(std::string node, std::string name, std::string incarnation,
                                     std::size_t capacity, std::vector<std::string> jobs,
                                     std::vector<std::string> kept) {
  json::object body{{"name", name},
                    {"incarnation", incarnation},
                    {"capacity", capacity},
                    {"jobs", json::value_from(jobs)},
                    {"kept", json::value_from(kept)}};
  std::string text = co_await post(nullptr, "/job/v1/nodes/" + node, json::serialize(body));
  json::object answer = object_of(text);
  NodeAnswer out;
  out.draining = find_bool(answer, "draining").value_or(false);
  out.epoch = find_int(answer, "epoch").value_or(0);
  auto read = [&answer](std::string_view name, std::vector<std::string>& into) {
    const json::array* ids = find_array(answer, name);
    if (!ids) return;
    for (const json::value& id : *ids) {
      if (id.is_string()) into.emplace_back(id.get_string());
    }
  };
  read("closed", out.closed);
  read("ended", out.ended);
  co_return out;
}

Task<std::optional<Job>> JobApi::claim(std::string node, std::string incarnation, std::string woken_by) {
  json::object body{{"node", node}, {"incarnation", incarnation}, {"woken_by", woken_by}};
  std::string text = co_await post(nullptr, "/job/v1/claims", json::serialize(body));
  if (text.empty()) co_return std::nullopt;
  co_return job_from_json(object_of(text));
}

Task<Wish> JobApi::beat(Lease lease, std::int64_t counter) {
  http::ClientRequest request;
  request.method = http::Method::post;
  request.target = path_of(lease, "beats");
  request.headers.add("Content-Type", "application/json");
  request.headers.add(lease_header, lease.lease);
  request.body = json::serialize(json::object{{"counter", counter}});
  request.header_time = beat_time;
  std::string text = co_await call(std::move(request));
  co_return wish_from(find_string(object_of(text), "wish").value_or(""));
}

Task<std::vector<Slot>> JobApi::slots(Lease lease, std::size_t count) {
  std::string text =
      co_await post(&lease, path_of(lease, "slots"), json::serialize(json::object{{"count", count}}));
  json::object answer = object_of(text);
  std::vector<Slot> out;
  if (const json::array* list = find_array(answer, "slots")) {
    for (const json::value& item : *list) {
      if (item.is_object()) out.push_back(slot_from_json(item.get_object()));
    }
  }
  co_return out;
}

Task<LogAnswer> JobApi::append_log(Lease lease, int segment, std::uint64_t position, std::string bytes) {
  http::ClientRequest request;
  request.method = http::Method::post;
  request.target =
      path_of(lease, "log") + "?segment=" + std::to_string(segment) + "&position=" + std::to_string(position);
  request.headers.add("Content-Type", "application/octet-stream");
  request.headers.add(lease_header, lease.lease);
  request.body = std::move(bytes);
  std::string target = request.target;
  http::ClientResponse response = co_await client_.send(std::move(request));
  std::string body = co_await response.text(answer_limit);
  if (response.status >= 200 && response.status <= 299)
    co_return LogAnswer{false, static_cast<std::uint64_t>(require_int(object_of(body), "size"))};
  // 409 means two things; a size tells them apart.
  if (response.status == 409) {
    boost::system::error_code broken;
    json::value document = json::parse(body, broken);
    std::optional<std::int64_t> size;
    if (!broken && document.is_object()) size = find_int(document.get_object(), "size");
    if (size && *size >= 0) co_return LogAnswer{true, static_cast<std::uint64_t>(*size)};
  }
  refuse(response.status, target, body);
}

Task<> JobApi::put_object(Lease lease, std::string object, std::string kind, std::filesystem::path file) {
  FileSource source(file);
  http::ClientRequest request;
  request.method = http::Method::put;
  request.target = path_of(lease, "objects/" + object);
  request.headers.add("Content-Type", "application/octet-stream");
  request.headers.add(lease_header, lease.lease);
  request.headers.add(kind_header, kind);
  request.stream = &source;
  request.stream_length = source.size();
  request.header_time = upload_time;
  co_await call(std::move(request));
}

Task<> JobApi::post_state(Lease lease, State state) {
  co_await post(&lease, path_of(lease, "states"), json::serialize(to_json(state)));
}

Task<> JobApi::post_result(Lease lease, Outcome outcome) {
  co_await post(&lease, path_of(lease, "result"), json::serialize(to_json(outcome)));
}

Task<> JobApi::post_lost(Lease lease, std::string error, std::string import_list, bool started) {
  json::object body{{"error", error}, {"import_list", import_list}, {"started", started}};
  co_await post(&lease, path_of(lease, "lost"), json::serialize(body));
}

Task<> JobApi::post_recovered(Lease lease, State state) {
  co_await post(&lease, path_of(lease, "recovered"), json::serialize(to_json(state)));
}

Task<> JobApi::fetch(std::string path, int descriptor, std::uint64_t limit) {
  http::ClientRequest request;
  request.target = std::move(path);
  http::ClientResponse response = co_await client_.send(std::move(request));
  if (response.status != 200) {
    // The path is a secret, so it stands in no message.
    std::string body = co_await response.text(64 * 1024);
    refuse(response.status == 404 || response.status == 410 ? 400 : response.status, "an input", body);
  }
  if (::ftruncate(descriptor, 0) != 0 || ::lseek(descriptor, 0, SEEK_SET) != 0)
    throw Error(Code::internal, "Emptying a fetched file failed.");
  std::vector<char> buffer(256 * 1024);
  std::uint64_t total = 0;
  while (true) {
    std::size_t got = 0;
    try {
      got = co_await response.body->read(buffer);
    } catch (const Error& failure) {
      // A body that broke off is an outage like any other.
      throw Error(Code::unavailable, failure.detail());
    }
    if (got == 0) break;
    total += got;
    if (total > limit)
      throw Error(Code::too_large, "An input of the run exceeds " + std::to_string(limit) + " bytes.");
    write_fully(descriptor, {buffer.data(), got}, "a fetched file");
  }
  bool cut = response.content_length && *response.content_length != total;
  if (cut) throw Error(Code::unavailable, "An input of the run broke off.");
}

Task<> persistently(std::function<Task<>()> attempt, std::function<bool()> give_up) {
  net::Clock::duration pause = 50ms;
  while (true) {
    try {
      co_await attempt();
      co_return;
    } catch (const Error& failure) {
      if (failure.code() != Code::unavailable || (give_up && give_up())) throw;
    }
    co_await net::sleep_for(pause);
    pause = std::min<net::Clock::duration>(pause * 2, 2s);
  }
}

}  // namespace terrane::shim
