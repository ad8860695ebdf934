#pragma once
#include <gtest/gtest.h>

#include <boost/asio/io_context.hpp>

#include "shim/job_api.h"
#include "shim/spool.h"
#include "shim/testing/fake_api.h"
#include "shim/testing/temporary_directory.h"

namespace terrane::shim {

/// A job of the fake control plane, its spool and the job API, on an executor that runs while somebody waits.
class PhaseTest : public ::testing::Test {
 protected:
  void make(int segment = 1) {
    worker_protocol::Job job;
    job.id = "job-1";
    job.run = "run-1";
    job.workspace = "ws-1";
    job.workspace_name = "prod";
    job.organization = "acme";
    job.lease = "lease-1";
    job.log_object = "log-1";
    job.log_segment = segment;
    fake_.add(job);
    job_ = fake_.get("job-1").job;
    spool_.emplace(Spool::create(directory_.path(), SpoolMeta::of(job_)));
    http::Endpoint endpoint;
    endpoint.host = "127.0.0.1";
    endpoint.port = fake_.port();
    api_.emplace(context_.get_executor(), endpoint);
  }
  /// Runs until the coroutine has ended, at most 20 s; throws what it throws.
  void run(Task<> task) {
    bool ended = false;
    std::exception_ptr failure;
    net::spawn(context_.get_executor(), std::move(task), [&](std::exception_ptr error) {
      failure = error;
      ended = true;
    });
    until([&] { return ended; });
    ASSERT_TRUE(ended);
    if (failure) std::rethrow_exception(failure);
  }
  bool until(const std::function<bool()>& condition) {
    auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (!condition() && std::chrono::steady_clock::now() < deadline) {
      context_.restart();
      context_.run_one_for(std::chrono::milliseconds(5));
    }
    return condition();
  }

  FakeApi fake_;
  TemporaryDirectory directory_;
  boost::asio::io_context context_{1};
  worker_protocol::Job job_;
  std::optional<Spool> spool_;
  std::optional<JobApi> api_;
};

}  // namespace terrane::shim
