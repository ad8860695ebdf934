#pragma once
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace terrane::config {

enum class Kind { text, number, yes_no, choice, path };

/// One setting, declared once: reading, checking, `terrane settings` and redaction use this.
struct Setting {
  std::string_view name;  ///< the environment's name, `TFE_…` or `TERRANE_…`
  Kind kind;
  std::string_view standard;  ///< the default, as it would be written; empty: none
  std::string_view meaning;
  std::string_view unit = {};
  std::int64_t least = 0, most = 0;  ///< bounds of a number
  std::string_view choices = {};     ///< of a choice, separated by blanks
  bool secret = false;
  bool fixed = false;  ///< chosen at install, never changed afterwards
};

/// All settings that Terrane knows.
std::span<const Setting> all();

/// Values of settings, given or default. Asking for a name that is not declared is a defect and throws
/// Error{internal}.
class Settings {
 public:
  /// Takes given values (an environment or a file's). Names of `TFE_` and `TERRANE_` that are not declared,
  /// wrong values and bounds are collected into one Error{invalid} whose problems name setting, value (unless
  /// secret) and what is allowed. Clients' names (TFE_TOKEN, TFE_ADDRESS) are ignored; known `TFE_` names
  /// without meaning here become warnings.
  static Settings from(const std::map<std::string, std::string>& given);

  std::string text(std::string_view name) const;
  std::int64_t number(std::string_view name) const;
  double real(std::string_view name) const;
  bool yes(std::string_view name) const;
  /// Whether the value was given rather than the default.
  bool given(std::string_view name) const;
  const std::vector<std::string>& warnings() const noexcept { return warnings_; }
  /// The given values as lines of a settings file.
  std::string to_file() const;

 private:
  std::map<std::string, std::string, std::less<>> values_;
  std::vector<std::string> warnings_;
};

/// Reads a settings file: `NAME=value` a line, `#` comments, values optionally in double quotes. Throws
/// Error{invalid} that names the line.
std::map<std::string, std::string> read_file(const std::filesystem::path& path);

/// The variables of this process's environment whose names begin with TFE_ or TERRANE_.
std::map<std::string, std::string> from_environment();

}  // namespace terrane::config
