#pragma once
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

namespace terrane {

/// A moment of UTC with the precision of PostgreSQL's timestamptz.
using Time = std::chrono::sys_time<std::chrono::microseconds>;
using Duration = std::chrono::milliseconds;

/// The system's clock. What must not depend on a node's clock asks PostgreSQL instead.
Time now();

/// `2018-03-02T23:42:06.651Z`, as attributes of API v2 carry it.
std::string iso8601(Time time);
/// `2018-03-02T23:42:06+00:00`, as `status-timestamps` of API v2 carry it.
std::string rfc3339(Time time);
/// Reads PostgreSQL's ISO output in UTC (`2018-03-02 23:42:06.651+00`) and RFC 3339; nothing on anything
/// else.
std::optional<Time> parse_time(std::string_view text);

}  // namespace terrane
