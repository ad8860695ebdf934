#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "sandbox/assignment.h"
#include "sandbox/descriptor.h"
#include "sandbox/launcher.h"
#include "sandbox/shim_side.h"

namespace terrane::sandbox {

namespace {

std::string read_description(int file) {
  std::string text;
  char buffer[4096];
  ssize_t size;
  while (text.size() < 65536 &&
         (size = pread(file, buffer, sizeof buffer, static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  return text;
}

// Waits, still as root, for the assignment, and becomes the worker's. The link closes with the return: by
// that the broker knows.
std::vector<Descriptor> receive_assignment() {
  Descriptor link(held_link_number);
  try {
    if (fcntl(link.get(), F_SETFD, FD_CLOEXEC) != 0) fail("fcntl");
    std::optional<Message> message = receive_message(link.get(), sizeof(AssignmentMessage));
    if (!message) _exit(0);  // the broker is gone, or does not need this shim
    AssignmentMessage assignment = parse_assignment(*message);
    if (assignment.has_job > 1 || message->descriptors.size() != 1 + assignment.has_job + assignment.relays) {
      throw Error(Code::internal, "The assignment's descriptors are not complete.");
    }
    change_user(assignment.worker_uid, assignment.worker_gid, {assignment.run_uid});
    return std::move(message->descriptors);
  } catch (const Error& failure) {
    send_message(link.get(), failure.what());
    throw;
  }
}

}  // namespace

ShimInheritance inherited_from_environment() {
  const char* launcher = std::getenv(shim_launcher_variable);
  std::optional<std::int64_t> pid = launcher ? parse_int(launcher) : std::nullopt;
  if (!pid || *pid <= 1) throw Error(Code::invalid, "This program was not started as a shim by the broker.");
  std::vector<Descriptor> given = receive_assignment();
  json::value document = parse_json(read_description(given[0].get()));
  if (!document.is_object()) throw Error(Code::invalid, "The broker's description is not understood.");
  const json::object& object = document.as_object();
  if (require_int(object, "version") != 1) throw Error(Code::invalid, "The broker speaks another version.");

  ShimInheritance inheritance;
  inheritance.run = require_string(object, "run");
  inheritance.phase = require_string(object, "phase");
  inheritance.spool = require_string(object, "spool");
  inheritance.run_directory = require_string(object, "run_directory");
  inheritance.broker_socket = require_string(object, "broker_socket");
  inheritance.hostname = require_string(object, "hostname");
  inheritance.relay_port = static_cast<std::uint16_t>(require_int(object, "relay_port"));
  inheritance.run_uid = static_cast<uid_t>(require_int(object, "run_uid"));
  inheritance.grace = std::chrono::seconds(require_int(object, "grace"));
  inheritance.network = find_bool(object, "network").value_or(false);
  inheritance.launcher = static_cast<pid_t>(*pid);
  inheritance.control = shim_control_number;
  fcntl(inheritance.control, F_SETFD, FD_CLOEXEC);
  std::size_t next = 1;
  if (find_bool(object, "job").value_or(false)) inheritance.job = given.at(next++).release();
  for (std::int64_t i = 0; i < require_int(object, "relays"); ++i)
    inheritance.relays.push_back(given.at(next++).release());
  if (const json::array* cgroups = find_array(object, "cgroups")) {
    for (const json::value& path : *cgroups) {
      if (path.is_string()) inheritance.cgroups.emplace_back(std::string(path.get_string()));
    }
  }
  unsetenv(shim_launcher_variable);
  return inheritance;
}

}  // namespace terrane::sandbox
