#include <cstdio>

#include "base/text.h"
#include "postgres/database.h"

namespace terrane::postgres {

void Params::add(std::string_view value) { values_.emplace_back(value); }
void Params::add(bool value) { values_.emplace_back(value ? "t" : "f"); }
void Params::add(const json::value& value) { values_.emplace_back(json::serialize(value)); }
void Params::add(const json::object& value) { values_.emplace_back(json::serialize(value)); }
void Params::add(Bytes value) { values_.emplace_back("\\x" + hex(value.bytes)); }

void Params::add(Time value) {
  // Microseconds since 2000 would be shorter, but PostgreSQL reads text only in calendar form.
  auto day = std::chrono::floor<std::chrono::days>(value);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(value - day);
  char text[64];
  std::snprintf(text, sizeof text, "%04d-%02u-%02u %02d:%02d:%02d.%06d+00", static_cast<int>(date.year()),
                static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                static_cast<int>(clock.seconds().count()), static_cast<int>(clock.subseconds().count()));
  values_.emplace_back(text);
}

void Params::add(const std::vector<std::string>& values) {
  std::string literal = "{";
  for (const std::string& value : values) {
    if (literal.size() > 1) literal += ',';
    literal += '"';
    for (char c : value) {
      if (c == '"' || c == '\\') literal += '\\';
      literal += c;
    }
    literal += '"';
  }
  literal += '}';
  values_.push_back(std::move(literal));
}

}  // namespace terrane::postgres
