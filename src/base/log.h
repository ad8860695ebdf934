#pragma once
#include <initializer_list>
#include <string>
#include <string_view>

namespace terrane::log {

/// One member of a log line. Never put a secret here.
struct Field {
  std::string_view key;
  std::string value;
  Field(std::string_view k, std::string_view v) : key(k), value(v) {}
  Field(std::string_view k, const char* v) : key(k), value(v) {}
  Field(std::string_view k, const std::string& v) : key(k), value(v) {}
  template <class Number>
    requires std::is_arithmetic_v<Number>
  Field(std::string_view k, Number v) : key(k), value(std::to_string(v)) {}
};

enum class Level { debug, info, warn, error };

/// Names the role in every later line, and takes the least level that is written. Call it once, before other
/// threads start.
void init(std::string_view role, Level least = Level::info);

/// Writes one JSON object a line to standard error: time, level, component, log, then the fields. Safe from
/// any thread.
void write(Level level, std::string_view text, std::initializer_list<Field> fields = {});

inline void debug(std::string_view text, std::initializer_list<Field> fields = {}) {
  write(Level::debug, text, fields);
}
inline void info(std::string_view text, std::initializer_list<Field> fields = {}) {
  write(Level::info, text, fields);
}
inline void warn(std::string_view text, std::initializer_list<Field> fields = {}) {
  write(Level::warn, text, fields);
}
inline void error(std::string_view text, std::initializer_list<Field> fields = {}) {
  write(Level::error, text, fields);
}

}  // namespace terrane::log
