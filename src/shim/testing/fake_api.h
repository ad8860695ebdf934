#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "worker_protocol/protocol.h"

namespace terrane::shim {

/// What the fake control plane knows of one job.
struct FakeJob {
  worker_protocol::Job job;
  bool claimed = false;
  bool closed = false;  ///< its lease: every call is answered 409
  worker_protocol::Wish wish = worker_protocol::Wish::none;
  int beats = 0;
  std::int64_t last_counter = 0;
  std::string log;                             ///< sealed
  std::map<std::string, std::string> objects;  ///< sealed, by id
  std::map<std::string, std::string> kinds;
  std::map<std::string, std::string> keys;  ///< of every slot that was given
  std::vector<worker_protocol::State> states, recovered;
  std::optional<worker_protocol::Outcome> outcome;
  std::optional<json::object> lost;
  std::vector<std::string> calls;  ///< what was asked, in order, without beats
  bool over() const { return outcome || lost; }
};

/// The job API in memory, on a thread of its own, over plain HTTP on 127.0.0.1.
class FakeApi {
 public:
  FakeApi();
  ~FakeApi();
  FakeApi(const FakeApi&) = delete;

  std::uint16_t port() const;
  /// Lets a job wait for a claim; its log key and 6 slots are made here.
  void add(worker_protocol::Job job);
  /// Serves bytes at a path, like a signed URL.
  void serve(const std::string& path, std::string bytes);
  /// Answers 503 for one path, or as usual again.
  void hold(const std::string& path, bool on);
  /// Answers everything with 503, or as usual again.
  void set_outage(bool on);
  void set_draining(bool on);
  /// Looks at or changes a job while no request is being answered.
  void with(const std::string& id, const std::function<void(FakeJob&)>& use);
  /// A copy of what is known.
  FakeJob get(const std::string& id);
  int claims() const;
  int reports() const;
  int fetched(const std::string& path) const;
  /// The jobs of the node's last report.
  std::vector<std::string> reported() const;

  /// The log's text and an object's plaintext, opened with the keys that were given. They fail when the bytes
  /// do not open.
  std::string log_text(const std::string& id);
  std::string plaintext(const std::string& id, const std::string& object);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace terrane::shim
