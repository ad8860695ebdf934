#pragma once
#include <cstdint>
#include <exception>
#include <string>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "sandbox/broker_client.h"

/// The JSON documents of the broker's socket: one request and one answer for each connection, each one
/// message.
namespace terrane::sandbox {

inline constexpr std::int64_t broker_protocol_version = 1;
inline constexpr std::size_t most_broker_request = 16 << 10;  ///< bytes
inline constexpr std::size_t most_broker_answer = 160
                                                  << 10;  ///< bytes, what a unix socket takes as one message
inline constexpr std::size_t most_phases = 256;  ///< that are remembered, so that the list is one answer

/// Whether it is 1 to 64 letters, digits, `-` and `_`, and does not begin with `-`: safe as a part of a path.
bool is_safe_name(std::string_view name);

json::object to_json(const PhaseRequest& request);
/// Reads and checks every value; the descriptor is not in it. Throws Error{invalid} or {unprocessable} that
/// names the member.
PhaseRequest parse_phase_request(const json::object& object);

json::object to_json(const PhaseInfo& info);
PhaseInfo parse_phase_info(const json::object& object);

json::object to_json(const LimitsHit& limits);
LimitsHit parse_limits(const json::object& object);

/// The answer that carries a failure, and back.
json::object error_answer(const Error& error);
/// Throws what an `error_answer` carries; does nothing with another answer.
void throw_answered_error(const json::object& answer);

}  // namespace terrane::sandbox
