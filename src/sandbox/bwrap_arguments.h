#pragma once
#include <string>
#include <vector>

#include "sandbox/descriptor.h"
#include "sandbox/shim_side.h"

namespace terrane::sandbox {

/// What the launcher is sent to become a sandbox.
struct BwrapInput {
  std::string arguments;         ///< NUL-terminated each; the program is not among them
  std::vector<Descriptor> data;  ///< contents of small files, in the order of their numbers
  std::vector<Descriptor>
      trees;  ///< directories and files to show, opened by the shim, in the order of their numbers
};

/// Turns a spec into bubblewrap's arguments. Throws Error{unprocessable} that names what cannot be.
BwrapInput bwrap_input(const ShimInheritance& inheritance, const SandboxSpec& spec);

}  // namespace terrane::sandbox
