#include "sandbox/assignment.h"

#include <cstring>
#include <grp.h>
#include <unistd.h>

#include "base/error.h"

namespace terrane::sandbox {

AssignmentMessage parse_assignment(const Message& message) {
  AssignmentMessage assignment;
  if (message.bytes.size() != sizeof assignment)
    throw Error(Code::internal, "The assignment has a wrong size.");
  std::memcpy(&assignment, message.bytes.data(), sizeof assignment);
  return assignment;
}

void change_user(uid_t uid, gid_t gid, const std::vector<gid_t>& groups) {
  if (setgroups(groups.size(), groups.data()) != 0) fail("setgroups");
  if (setresgid(gid, gid, gid) != 0) fail("setresgid");
  if (setresuid(uid, uid, uid) != 0) fail("setresuid");
}

}  // namespace terrane::sandbox
