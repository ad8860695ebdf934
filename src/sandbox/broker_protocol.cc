#include "sandbox/broker_protocol.h"

#include <cmath>

namespace terrane::sandbox {

namespace {

std::int64_t within(const json::object& object, std::string_view key, std::int64_t least, std::int64_t most) {
  std::int64_t value = require_int(object, key);
  if (value < least || value > most) {
    throw Error(Code::unprocessable,
                "'" + std::string(key) + "' must be from " + std::to_string(least) + " to " +
                    std::to_string(most) + ".",
                "/" + std::string(key));
  }
  return value;
}

std::string safe_name(const json::object& object, std::string_view key) {
  std::string value = require_string(object, key);
  if (is_safe_name(value)) return value;
  throw Error(Code::unprocessable, "'" + std::string(key) + "' must be 1 to 64 letters, digits, '-' and '_'.",
              "/" + std::string(key));
}

bool is_host_name(std::string_view name) {
  if (name.size() > 253 || name.starts_with('-') || name.starts_with('.')) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  });
}

double cpus(const json::object& object) {
  const json::value* value = object.if_contains("cpus");
  double number = value && value->is_number() ? value->to_number<double>() : -1;
  if (number == 0 || (std::isfinite(number) && number >= 0.01 && number <= 1024)) return number;
  throw Error(Code::unprocessable, "'cpus' must be 0 (unlimited) or from 0.01 to 1024.", "/cpus");
}

std::uint64_t count(const json::object& object, std::string_view key) {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(find_int(object, key).value_or(0), 0));
}

}  // namespace

bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > 64 || name.front() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

json::object to_json(const PhaseRequest& request) {
  return {{"run", request.run},
          {"phase", request.phase},
          {"memory_bytes", static_cast<std::int64_t>(request.memory_bytes)},
          {"cpus", request.cpus},
          {"processes", request.processes},
          {"tmpfs_bytes", static_cast<std::int64_t>(request.tmpfs_bytes)},
          {"network", request.network},
          {"hostname", request.hostname},
          {"relay_port", request.relay_port},
          {"grace", request.grace.count()},
          {"spool", request.spool.string()}};
}

PhaseRequest parse_phase_request(const json::object& object) {
  constexpr std::int64_t mebibyte = 1 << 20, tebibyte = mebibyte << 20;
  PhaseRequest request;
  request.run = safe_name(object, "run");
  request.phase = safe_name(object, "phase");
  request.memory_bytes = static_cast<std::uint64_t>(within(object, "memory_bytes", 64 * mebibyte, tebibyte));
  request.cpus = cpus(object);
  request.processes = static_cast<std::uint32_t>(within(object, "processes", 16, 1000000));
  request.tmpfs_bytes = static_cast<std::uint64_t>(within(object, "tmpfs_bytes", mebibyte, tebibyte));
  request.network = find_bool(object, "network").value_or(false);
  request.hostname = require_string(object, "hostname");
  request.relay_port = static_cast<std::uint16_t>(within(object, "relay_port", 0, 65535));
  request.grace = std::chrono::seconds(within(object, "grace", 0, 3600));
  request.spool = require_string(object, "spool");
  if (!is_host_name(request.hostname))
    throw Error(Code::unprocessable, "'hostname' is no host name.", "/hostname");
  if (!request.hostname.empty() && request.relay_port == 0)
    throw Error(Code::unprocessable, "'relay_port' is missing.", "/relay_port");
  if (request.spool.native().size() > 4095)
    throw Error(Code::unprocessable, "'spool' is too long.", "/spool");
  return request;
}

json::object to_json(const LimitsHit& limits) {
  return {{"memory_kills", static_cast<std::int64_t>(limits.memory_kills)},
          {"refused_processes", static_cast<std::int64_t>(limits.refused_processes)},
          {"storage_full", limits.storage_full},
          {"memory_peak", static_cast<std::int64_t>(limits.memory_peak)},
          {"throttled_us", static_cast<std::int64_t>(limits.throttled_us)}};
}

LimitsHit parse_limits(const json::object& object) {
  LimitsHit limits;
  limits.memory_kills = count(object, "memory_kills");
  limits.refused_processes = count(object, "refused_processes");
  limits.storage_full = find_bool(object, "storage_full").value_or(false);
  limits.memory_peak = count(object, "memory_peak");
  limits.throttled_us = count(object, "throttled_us");
  return limits;
}

json::object to_json(const PhaseInfo& info) {
  return {{"phase", info.phase},
          {"run", info.run},
          {"shim", info.shim},
          {"shim_alive", info.shim_alive},
          {"processes", info.processes},
          {"ended", info.ended},
          {"limits", to_json(info.limits)}};
}

PhaseInfo parse_phase_info(const json::object& object) {
  PhaseInfo info;
  info.phase = require_string(object, "phase");
  info.run = require_string(object, "run");
  info.shim = static_cast<pid_t>(require_int(object, "shim"));
  info.shim_alive = find_bool(object, "shim_alive").value_or(false);
  info.processes = static_cast<std::uint32_t>(count(object, "processes"));
  info.ended = find_bool(object, "ended").value_or(false);
  if (const json::object* limits = find_object(object, "limits")) info.limits = parse_limits(*limits);
  return info;
}

json::object error_answer(const Error& error) {
  return {{"error", {{"code", name(error.code())}, {"detail", error.detail()}}}};
}

void throw_answered_error(const json::object& answer) {
  const json::object* error = find_object(answer, "error");
  if (!error) return;
  std::string text = require_string(*error, "code");
  for (Code code : {Code::invalid, Code::unauthorized, Code::forbidden, Code::not_found, Code::conflict,
                    Code::precondition_failed, Code::too_large, Code::unprocessable, Code::rate_limited,
                    Code::unavailable, Code::internal}) {
    if (name(code) == text) throw Error(code, require_string(*error, "detail"));
  }
  throw Error(Code::internal, "The broker answered with the unknown error '" + text + "'.");
}

}  // namespace terrane::sandbox
