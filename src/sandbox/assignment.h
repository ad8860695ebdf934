#pragma once
#include <cstdint>
#include <sys/types.h>
#include <vector>

#include "sandbox/descriptor.h"

namespace terrane::sandbox {

/// What travels over the links of a held shim: to both processes these bytes, and to the shim with the
/// descriptors description, job if there is one, relays.
struct AssignmentMessage {
  std::uint64_t weak_memory_bytes = 0;
  std::uint32_t weak_processes = 0;
  std::uint32_t run_uid = 0;
  std::uint32_t worker_uid = 0;
  std::uint32_t worker_gid = 0;
  std::uint32_t has_job = 0;
  std::uint32_t relays = 0;
};

/// Throws Error{internal} when the message is none.
AssignmentMessage parse_assignment(const Message& message);

/// Gives up root for good. Throws Error{internal} with the step that failed.
void change_user(uid_t uid, gid_t gid, const std::vector<gid_t>& groups);

}  // namespace terrane::sandbox
