#pragma once
#include <compare>
#include <string>
#include <string_view>

namespace terrane {

/// 16 characters of a base58-like alphabet (no 0 O I l), from the system's random source.
std::string random_id_suffix();

/// The id of one kind of thing, as API v2 shows it: `ws-` and 16 characters. `Tag` is the thing's struct and
/// has `static constexpr std::string_view id_prefix`.
template <class Tag>
class Id {
 public:
  Id() = default;
  explicit Id(std::string text) : text_(std::move(text)) {}
  /// A fresh one.
  static Id make() { return Id(std::string(Tag::id_prefix) + "-" + random_id_suffix()); }
  const std::string& text() const noexcept { return text_; }
  bool empty() const noexcept { return text_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  std::string text_;
};

}  // namespace terrane
