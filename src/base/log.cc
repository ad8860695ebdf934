#include "base/log.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include "base/json.h"
#include "base/time.h"

namespace terrane::log {
namespace {

std::string component = "terrane";

spdlog::logger& logger() {
  static auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  static spdlog::logger instance = [] {
    sink->set_pattern("%v");
    return spdlog::logger("terrane", sink);
  }();
  return instance;
}

spdlog::level::level_enum to_spdlog(Level level) {
  switch (level) {
    case Level::debug: return spdlog::level::debug;
    case Level::info: return spdlog::level::info;
    case Level::warn: return spdlog::level::warn;
    case Level::error: return spdlog::level::err;
  }
  return spdlog::level::err;
}

std::string_view name(Level level) {
  switch (level) {
    case Level::debug: return "debug";
    case Level::info: return "info";
    case Level::warn: return "warn";
    case Level::error: return "error";
  }
  return "error";
}

}  // namespace

void init(std::string_view role, Level least) {
  component = role;
  logger().set_level(to_spdlog(least));
  logger().flush_on(spdlog::level::debug);
}

void write(Level level, std::string_view text, std::initializer_list<Field> fields) {
  if (!logger().should_log(to_spdlog(level))) return;
  json::object line;
  line["time"] = iso8601(now());
  line["level"] = name(level);
  line["component"] = component;
  line["log"] = text;
  for (const Field& field : fields) line[field.key] = field.value;
  logger().log(to_spdlog(level), "{}", json::serialize(line));
}

}  // namespace terrane::log
