#include "shim/layout.h"

#include "base/error.h"
#include "base/text.h"
#include "sandbox/shim_side.h"

namespace terrane::shim {

std::string working_directory_of(const worker_protocol::Job& job) {
  std::string out = "work";
  for (std::string_view part : split(job.working_directory, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..")
      throw Error(Code::unprocessable,
                  "The working directory \"" + job.working_directory + "\" leads upwards.");
    out += "/" + std::string(part);
  }
  return out;
}

std::string state_file_of(const worker_protocol::Job& job) {
  std::string directory = working_directory_of(job);
  // The engine keeps the workspace "default" beside the configuration.
  if (job.workspace_name == "default") return directory + "/terraform.tfstate";
  return directory + "/terraform.tfstate.d/" + job.workspace_name + "/terraform.tfstate";
}

std::string inside(const std::string& name) {
  if (name == "work") return sandbox::work_inside;
  if (name.starts_with("work/")) return sandbox::work_inside + name.substr(4);
  if (name.starts_with("home/")) return sandbox::home_inside + name.substr(4);
  throw Error(Code::internal, "The name " + name + " is not seen inside a sandbox.");
}

}  // namespace terrane::shim
