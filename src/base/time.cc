#include "base/time.h"

#include <array>
#include <cstdint>
#include <cstdio>

namespace terrane {
namespace {

std::string format(Time time, const char* tail, bool milliseconds) {
  auto day = std::chrono::floor<std::chrono::days>(time);
  std::chrono::year_month_day date(day);
  std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::milliseconds>(time - day));
  std::array<char, 48> text{};
  int length =
      std::snprintf(text.data(), text.size(), "%04d-%02u-%02uT%02d:%02d:%02d", static_cast<int>(date.year()),
                    static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                    static_cast<int>(clock.hours().count()), static_cast<int>(clock.minutes().count()),
                    static_cast<int>(clock.seconds().count()));
  std::string out(text.data(), static_cast<std::size_t>(length));
  if (milliseconds) {
    length = std::snprintf(text.data(), text.size(), ".%03d", static_cast<int>(clock.subseconds().count()));
    out.append(text.data(), static_cast<std::size_t>(length));
  }
  return out + tail;
}

/// Takes exactly `digits` decimal digits from the front of `text`.
std::optional<int> take(std::string_view& text, std::size_t digits) {
  if (text.size() < digits) return std::nullopt;
  int value = 0;
  for (char c : text.substr(0, digits)) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + (c - '0');
  }
  text.remove_prefix(digits);
  return value;
}

bool take(std::string_view& text, std::string_view allowed, std::size_t) {
  if (text.empty() || allowed.find(text.front()) == std::string_view::npos) return false;
  text.remove_prefix(1);
  return true;
}

}  // namespace

Time now() { return std::chrono::floor<std::chrono::microseconds>(std::chrono::system_clock::now()); }

std::string iso8601(Time time) { return format(time, "Z", true); }
std::string rfc3339(Time time) { return format(time, "+00:00", false); }

std::optional<Time> parse_time(std::string_view text) {
  auto year = take(text, 4);
  if (!year || !take(text, "-", 1)) return std::nullopt;
  auto month = take(text, 2);
  if (!month || !take(text, "-", 1)) return std::nullopt;
  auto day = take(text, 2);
  if (!day || !take(text, "Tt ", 1)) return std::nullopt;
  auto hour = take(text, 2);
  if (!hour || !take(text, ":", 1)) return std::nullopt;
  auto minute = take(text, 2);
  if (!minute || !take(text, ":", 1)) return std::nullopt;
  auto second = take(text, 2);
  if (!second) return std::nullopt;
  std::int64_t micros = 0;
  if (take(text, ".", 1)) {
    std::int64_t scale = 100'000;
    std::size_t digits = 0;
    while (!text.empty() && text.front() >= '0' && text.front() <= '9') {
      micros += (text.front() - '0') * scale;
      scale /= 10;
      text.remove_prefix(1);
      ++digits;
    }
    if (digits == 0) return std::nullopt;
  }
  std::chrono::minutes offset{0};
  if (text == "Z" || text == "z") {
    text.remove_prefix(1);
  } else {
    if (text.empty()) return std::nullopt;
    int sign = text.front() == '-' ? -1 : 1;
    if (!take(text, "+-", 1)) return std::nullopt;
    auto hours = take(text, 2);
    if (!hours) return std::nullopt;
    int minutes = 0;
    if (take(text, ":", 1)) {
      auto taken = take(text, 2);
      if (!taken) return std::nullopt;
      minutes = *taken;
    }
    offset = std::chrono::minutes(sign * (*hours * 60 + minutes));
  }
  std::chrono::year_month_day date{std::chrono::year(*year),
                                   std::chrono::month(static_cast<unsigned>(*month)),
                                   std::chrono::day(static_cast<unsigned>(*day))};
  if (!text.empty() || !date.ok() || *hour > 24 || *minute > 59 || *second > 60) return std::nullopt;
  return Time(std::chrono::sys_days(date)) + std::chrono::hours(*hour) + std::chrono::minutes(*minute) +
         std::chrono::seconds(*second) + std::chrono::microseconds(micros) - offset;
}

}  // namespace terrane
