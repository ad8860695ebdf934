#pragma once
#include <chrono>
#include <functional>

#include "base/task.h"
#include "net/io.h"

namespace terrane::testing {

/// Runs a test's coroutine on a fresh executor and rethrows what it throws; after `limit` it throws
/// std::runtime_error. What the body spawned is destroyed when the body ends.
void run_task(std::function<Task<>(net::Executor)> body,
              std::chrono::seconds limit = std::chrono::seconds(30));

/// Suspends until `condition` holds, looking each 10 ms; throws std::runtime_error that names `what` after
/// `limit`.
Task<> eventually(std::string what, std::function<bool()> condition,
                  std::chrono::seconds limit = std::chrono::seconds(10));

}  // namespace terrane::testing
