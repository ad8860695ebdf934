#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <variant>

namespace terrane::shim {

/// Reads a JSON document of any size piece by piece without building it, and reports what stands near its
/// top.
class JsonScan {
 public:
  /// Where something stands: the keys of the objects above it, "#" for an element of an array. It lives
  /// during the call.
  using Path = std::span<const std::string>;
  using Scalar = std::variant<std::nullptr_t, bool, std::int64_t, double, std::string_view>;

  struct Callbacks {
    std::function<void(Path, const Scalar&)> scalar;
    std::function<void(Path)> begin;  ///< of an object or array
    std::function<void(Path)> end;
  };

  /// Nothing deeper than `depth` steps is reported, and no text longer than 64 KiB (it is cut).
  JsonScan(std::size_t depth, Callbacks callbacks);
  ~JsonScan();

  /// Takes the next bytes; false when the document is broken or something follows it (then and from then on).
  bool feed(std::string_view bytes);
  /// Whether one whole document was fed.
  bool finish();

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace terrane::shim
