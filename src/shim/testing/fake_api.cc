#include "shim/testing/fake_api.h"

#include <mutex>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>

#include "base/error.h"
#include "crypto/random.h"
#include "http/server.h"
#include "sealed/log.h"
#include "sealed/stream.h"

namespace terrane::shim {

using namespace worker_protocol;

namespace {

http::Response answer(int status, json::object body) {
  http::Response response;
  response.status = status;
  response.body = json::serialize(body);
  return response;
}

json::object object_of(const std::string& text) { return parse_json(text).as_object(); }

}  // namespace

struct FakeApi::Impl {
  boost::asio::io_context context{1};
  mutable std::mutex mutex;
  std::map<std::string, FakeJob> jobs;
  std::vector<std::string> order;
  std::map<std::string, std::string> files;
  std::set<std::string> held;
  std::map<std::string, int> fetches;
  std::vector<std::string> reported;
  bool outage = false, draining = false;
  int claims = 0, reports = 0;
  std::uint16_t port = 0;
  std::unique_ptr<http::Server> server;
  std::thread thread;

  Slot slot_for(FakeJob& job) {
    Slot slot{"obj-" + crypto::random_text(12), crypto::random_key(32), "wrapped"};
    job.keys[slot.object] = slot.key.reveal();
    return slot;
  }

  Task<http::Response> handle(http::Request& request) {
    std::string body = co_await http::read_body(request, 256 * 1024 * 1024);
    std::lock_guard lock(mutex);
    if (outage || held.contains(request.path)) co_return answer(503, {});
    if (auto file = files.find(request.path); file != files.end()) {
      ++fetches[request.path];
      http::Response response;
      response.body = file->second;
      co_return response;
    }
    if (request.path.starts_with("/job/v1/nodes/")) co_return node(body);
    if (request.path == "/job/v1/claims") co_return claim();
    std::string_view rest = request.path;
    if (!rest.starts_with("/job/v1/jobs/")) co_return answer(404, {});
    rest.remove_prefix(13);
    std::string id(rest.substr(0, rest.find('/')));
    auto job = jobs.find(id);
    if (job == jobs.end()) co_return answer(404, {});
    if (request.headers.find(lease_header).value_or("") != job->second.job.lease)
      co_return answer(409, {{"error", "lease"}});
    std::string what(rest.substr(id.size() + 1));
    if (what != "beats") job->second.calls.push_back(what);
    bool late = what == "recovered" || what == "slots" || what.starts_with("objects/");
    if (job->second.closed && !late) co_return answer(409, {{"error", "closed"}});
    co_return for_job(job->second, what, request, body);
  }

  http::Response node(const std::string& body) {
    ++reports;
    reported.clear();
    json::object document = object_of(body);
    for (const json::value& id : document.at("jobs").as_array()) reported.emplace_back(id.as_string());
    json::array closed;
    for (const std::string& id : reported) {
      if (jobs.contains(id) && jobs[id].closed) closed.emplace_back(id);
    }
    return answer(200, {{"draining", draining}, {"epoch", 1}, {"closed", closed}});
  }

  http::Response claim() {
    ++claims;
    for (const std::string& id : order) {
      FakeJob& job = jobs[id];
      if (job.claimed) continue;
      job.claimed = true;
      return answer(200, to_json(job.job));
    }
    http::Response nothing;
    nothing.status = 204;
    return nothing;
  }

  http::Response for_job(FakeJob& job, const std::string& what, const http::Request& request,
                         const std::string& body) {
    if (what.starts_with("objects/")) {
      std::string object = what.substr(8);
      if (!job.keys.contains(object)) return answer(422, {{"error", "unknown object"}});
      job.objects[object] = body;
      job.kinds[object] = std::string(request.headers.find(kind_header).value_or(""));
      return answer(200, {});
    }
    if (what == "log") return append(job, request, body);
    json::object document = object_of(body);
    if (what == "beats") {
      ++job.beats;
      job.last_counter = require_int(document, "counter");
      return answer(200, {{"wish", name(job.wish)}});
    }
    if (what == "slots") {
      json::array slots;
      for (std::int64_t i = 0; i < require_int(document, "count"); ++i)
        slots.push_back(to_json(slot_for(job)));
      return answer(200, {{"slots", slots}});
    }
    if (what == "states" || what == "recovered") {
      State state = state_from_json(document);
      if (!job.objects.contains(state.object)) return answer(422, {{"error", "the object is not there"}});
      (what == "states" ? job.states : job.recovered).push_back(state);
      return answer(200, {});
    }
    if (what == "result")
      job.outcome = outcome_from_json(document);
    else if (what == "lost")
      job.lost = document;
    else
      return answer(404, {});
    return answer(200, {});
  }

  http::Response append(FakeJob& job, const http::Request& request, const std::string& body) {
    std::size_t position = std::stoull(std::string(request.query.find("position").value_or("0")));
    if (position > job.log.size()) return answer(409, {{"size", job.log.size()}});
    job.log.replace(position, std::min(body.size(), job.log.size() - position), body);
    return answer(200, {{"size", job.log.size()}});
  }
};

FakeApi::FakeApi() : impl_(new Impl) {
  Impl* impl = impl_.get();
  impl->server = std::make_unique<http::Server>(
      impl->context.get_executor(), [impl](http::Request& request) { return impl->handle(request); },
      [](const http::Request&, std::exception_ptr failure) {
        try {
          std::rethrow_exception(failure);
        } catch (const std::exception& error) {
          return answer(500, {{"error", error.what()}});
        }
      });
  impl->port = impl->server->listen_tcp("127.0.0.1", 0);
  impl->thread = std::thread([impl] { impl->context.run(); });
}

FakeApi::~FakeApi() {
  impl_->context.stop();
  impl_->thread.join();
}

std::uint16_t FakeApi::port() const { return impl_->port; }

void FakeApi::add(Job job) {
  std::lock_guard lock(impl_->mutex);
  FakeJob& added = impl_->jobs[job.id];
  added = {};
  added.job = std::move(job);
  added.job.log = impl_->slot_for(added);
  added.keys[added.job.log_object] = added.job.log.key.reveal();
  for (int i = 0; i < 6; ++i) added.job.slots.push_back(impl_->slot_for(added));
  impl_->order.push_back(added.job.id);
}

void FakeApi::serve(const std::string& path, std::string bytes) {
  std::lock_guard lock(impl_->mutex);
  impl_->files[path] = std::move(bytes);
}

void FakeApi::hold(const std::string& path, bool on) {
  std::lock_guard lock(impl_->mutex);
  if (on)
    impl_->held.insert(path);
  else
    impl_->held.erase(path);
}

void FakeApi::set_outage(bool on) {
  std::lock_guard lock(impl_->mutex);
  impl_->outage = on;
}

void FakeApi::set_draining(bool on) {
  std::lock_guard lock(impl_->mutex);
  impl_->draining = on;
}

void FakeApi::with(const std::string& id, const std::function<void(FakeJob&)>& use) {
  std::lock_guard lock(impl_->mutex);
  use(impl_->jobs.at(id));
}

FakeJob FakeApi::get(const std::string& id) {
  std::lock_guard lock(impl_->mutex);
  return impl_->jobs.at(id);
}

int FakeApi::claims() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->claims;
}

int FakeApi::reports() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->reports;
}

int FakeApi::fetched(const std::string& path) const {
  std::lock_guard lock(impl_->mutex);
  auto found = impl_->fetches.find(path);
  return found == impl_->fetches.end() ? 0 : found->second;
}

std::vector<std::string> FakeApi::reported() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->reported;
}

std::string FakeApi::log_text(const std::string& id) {
  FakeJob job = get(id);
  std::optional<sealed::Header> header = sealed::parse_header(job.log);
  if (!header) return {};
  std::size_t size = header->size();
  sealed::LogReader reader(Secret(job.keys.at(job.job.log_object)), *std::move(header), job.job.log_object,
                           job.job.workspace);
  std::string text;
  for (const sealed::Piece& piece : reader.feed(std::string_view(job.log).substr(size))) text += piece.text;
  return text;
}

std::string FakeApi::plaintext(const std::string& id, const std::string& object) {
  FakeJob job = get(id);
  const std::string& bytes = job.objects.at(object);
  sealed::Header header = *sealed::parse_header(bytes);
  std::size_t size = header.size();
  sealed::Opener opener(Secret(job.keys.at(object)), std::move(header), object, job.kinds.at(object),
                        job.job.workspace);
  std::string text = opener.update(std::string_view(bytes).substr(size));
  return text + opener.finish();
}

}  // namespace terrane::shim
