#include "supervisor/supervisor.h"

#include "base/error.h"
#include "base/log.h"
#include "supervisor/service.h"

namespace terrane::supervisor {
namespace {

/// Throws when the dependencies of `service` lead back to it.
void check_circle(const std::shared_ptr<Service>& service, std::vector<const Service*>& path,
                  std::set<const Service*>& checked) {
  if (checked.contains(service.get())) return;
  if (std::ranges::find(path, service.get()) != path.end()) {
    throw Error(Code::internal, "Service " + service->name() + " would have to start after itself.");
  }
  path.push_back(service.get());
  for (const auto& other : service->after) check_circle(other.lock(), path, checked);
  path.pop_back();
  checked.insert(service.get());
}

}  // namespace

std::string_view name(State state) {
  switch (state) {
    case State::stopped: return "stopped";
    case State::waiting: return "waiting";
    case State::starting: return "starting";
    case State::ready: return "ready";
    case State::pausing: return "pausing";
    case State::stopping: return "stopping";
    case State::failed: return "failed";
  }
  return "stopped";
}

struct Supervisor::Impl {
  net::Executor executor;
  std::vector<std::shared_ptr<Service>> services;
  std::shared_ptr<net::Event> any_change;

  std::shared_ptr<Service> find(std::string_view name) const {
    for (const auto& service : services) {
      if (service->name() == name) return service;
    }
    return nullptr;
  }
};

Supervisor::Supervisor(net::Executor executor, std::vector<ServiceSpec> specs, SupervisorOptions options)
    : impl_(std::make_shared<Impl>()) {
  impl_->executor = executor;
  impl_->any_change = std::make_shared<net::Event>(executor);
  auto shared = std::make_shared<const SupervisorOptions>(std::move(options));
  for (const ServiceSpec& spec : specs) {
    if (impl_->find(spec.name)) throw Error(Code::internal, "Two services are named " + spec.name + ".");
    impl_->services.push_back(std::make_shared<Service>(executor, spec, shared, impl_->any_change));
  }
  for (const ServiceSpec& spec : specs) {
    for (const std::string& other : spec.after) {
      std::shared_ptr<Service> first = impl_->find(other);
      if (!first)
        throw Error(Code::internal, "Service " + spec.name + " starts after an unknown one: " + other + ".");
      impl_->find(spec.name)->after.push_back(first);
      first->before.push_back(impl_->find(spec.name));
    }
  }
  std::vector<const Service*> path;
  std::set<const Service*> checked;
  for (const auto& service : impl_->services) check_circle(service, path, checked);
}

Supervisor::~Supervisor() = default;

Task<> Supervisor::start_all() {
  std::shared_ptr<Impl> impl = impl_;
  for (const auto& service : impl->services) service->start();
  auto is_ready = [](const std::shared_ptr<Service>& service) { return service->state() == State::ready; };
  while (!std::ranges::all_of(impl->services, is_ready)) {
    for (const auto& service : impl->services) {
      if (service->failure()) std::rethrow_exception(service->failure());
      if (service->state() == State::stopped)
        throw Error(Code::unavailable, "Service " + service->name() + " was stopped while all started.");
    }
    co_await impl->any_change->wait_for(std::chrono::seconds(1));
  }
}

Task<> Supervisor::run(net::Stop& stop) {
  while (!co_await stop.wait_for(std::chrono::hours(1))) {
  }
}

Task<> Supervisor::stop_all() {
  std::shared_ptr<Impl> impl = impl_;
  auto left = std::make_shared<std::size_t>(impl->services.size());
  for (const auto& service : impl->services) {
    auto stop = [](std::shared_ptr<Service> one) -> Task<> { co_await one->stop(); };
    net::spawn(impl->executor, stop(service), [impl, left](std::exception_ptr) {
      --*left;
      impl->any_change->notify();
    });
  }
  while (*left > 0) co_await impl->any_change->wait_for(std::chrono::seconds(1));
  log::info("all services stopped");
}

Task<> Supervisor::restart(std::string name) {
  std::shared_ptr<Service> service = impl_->find(name);
  if (!service) throw Error(Code::not_found, "There is no service " + name + ".");
  co_await service->restart();
}

std::vector<Status> Supervisor::status() const {
  std::vector<Status> all;
  for (const auto& service : impl_->services) all.push_back(service->status());
  return all;
}

}  // namespace terrane::supervisor
