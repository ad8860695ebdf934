#pragma once
#include <string>
#include <string_view>

namespace terrane {

/// A value that must not be printed or left in freed memory. It is wiped when it is destroyed or assigned
/// over.
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(const Secret&) = default;
  Secret(Secret&& other) noexcept;
  Secret& operator=(const Secret& other);
  Secret& operator=(Secret&& other) noexcept;
  ~Secret();

  /// The value itself; do not copy it into anything that is logged or stored.
  const std::string& reveal() const noexcept { return value_; }
  bool empty() const noexcept { return value_.empty(); }

 private:
  void wipe() noexcept;
  std::string value_;
};

/// Overwrites the bytes of `text` and empties it.
void wipe(std::string& text) noexcept;

}  // namespace terrane
