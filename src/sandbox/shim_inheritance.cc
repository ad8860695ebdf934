#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "sandbox/descriptor.h"
#include "sandbox/launcher.h"
#include "sandbox/shim_side.h"

namespace terrane::sandbox {

namespace {

std::string read_description() {
  std::string text;
  char buffer[4096];
  ssize_t size;
  while (text.size() < 65536 && (size = pread(shim_description_number, buffer, sizeof buffer,
                                              static_cast<off_t>(text.size()))) > 0) {
    text.append(buffer, static_cast<std::size_t>(size));
  }
  return text;
}

}  // namespace

ShimInheritance inherited_from_environment() {
  const char* launcher = std::getenv(shim_launcher_variable);
  std::optional<std::int64_t> pid = launcher ? parse_int(launcher) : std::nullopt;
  if (!pid || *pid <= 1) throw Error(Code::invalid, "This program was not started as a shim by the broker.");
  json::value document = parse_json(read_description());
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
  if (find_bool(object, "job").value_or(false)) inheritance.job = shim_job_number;
  for (std::int64_t i = 0; i < require_int(object, "relays"); ++i)
    inheritance.relays.push_back(shim_first_relay_number + static_cast<int>(i));
  if (const json::array* cgroups = find_array(object, "cgroups")) {
    for (const json::value& path : *cgroups) {
      if (path.is_string()) inheritance.cgroups.emplace_back(std::string(path.get_string()));
    }
  }
  close(shim_description_number);
  for (int number : {inheritance.control, inheritance.job}) {
    if (number >= 0) fcntl(number, F_SETFD, FD_CLOEXEC);
  }
  for (int number : inheritance.relays) fcntl(number, F_SETFD, FD_CLOEXEC);
  unsetenv(shim_launcher_variable);
  return inheritance;
}

}  // namespace terrane::sandbox
