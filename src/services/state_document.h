#pragma once
#include <memory>
#include <string_view>

#include "base/error.h"
#include "state/state.h"

namespace terrane::services {

/// Bounds of what is kept of one state; what does not fit is left out, and Parsed::note says so.
constexpr std::size_t value_limit =
    5 * 1024 * 1024;  ///< bytes of one output's value; vault takes them in one request
constexpr std::size_t values_limit = 16 * 1024 * 1024;  ///< bytes of all outputs' values
constexpr std::size_t output_limit = 10'000;            ///< outputs
constexpr std::size_t resource_limit = 20'000;          ///< resources
constexpr std::size_t key_limit = 20'000;               ///< keys of resources' instances
constexpr std::size_t text_limit = 64 * 1024;           ///< bytes of one name, address or the like
constexpr std::size_t depth_limit = 256;                ///< nested levels; a deeper state is malformed

/// Content that is no state of format version 4. Code::unprocessable; the detail is for people.
class MalformedState : public Error {
 public:
  explicit MalformedState(std::string reason) : Error(Code::unprocessable, std::move(reason)) {}
};

/// Reads a state of Terraform or OpenTofu (format version 4) piece by piece, with memory that depends on the
/// bounds above and not on the state's size: attributes of resources are passed over.
class StateDocument {
 public:
  StateDocument();
  ~StateDocument();
  StateDocument(const StateDocument&) = delete;
  StateDocument& operator=(const StateDocument&) = delete;

  /// Takes the next bytes. Throws MalformedState; the object is then used up.
  void feed(std::string_view bytes);
  /// What was found; the last call. Throws MalformedState when the document is not whole or of another
  /// version.
  state::Parsed finish();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace terrane::services
