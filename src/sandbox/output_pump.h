#pragma once
#include <functional>
#include <memory>
#include <string_view>

#include "base/task.h"
#include "net/io.h"
#include "sandbox/descriptor.h"
#include "sandbox/shim_side.h"

namespace terrane::sandbox {

/// Carries one output of a command from its pipe to a callback until the pipe ends.
class OutputPump {
 public:
  using Callback = std::function<Task<>(Stream, std::string_view)>;
  static std::shared_ptr<OutputPump> start(net::Executor executor, Descriptor pipe, Stream stream,
                                           Callback callback);

  /// Suspends until the pipe has ended; after `limit` it takes only what is in the pipe now. Throws what the
  /// callback threw (after that the pipe is still read, to nowhere).
  Task<> finish(net::Clock::duration limit);

 private:
  struct State;
  explicit OutputPump(std::shared_ptr<State> state) : state_(std::move(state)) {}
  std::shared_ptr<State> state_;
};

}  // namespace terrane::sandbox
