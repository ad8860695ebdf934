#pragma once

namespace terrane::sandbox {

/// The verb `sandbox-init --control FD --grace SECONDS` of the program inside: pid 1 of a sandbox. It starts
/// the commands that the shim asks for, reaps everything, and outlives the shim: then it sends SIGINT to the
/// commands, keeps reading their output, and after the grace kills all. Returns the exit status.
int sandbox_init_main(int argc, char** argv);

}  // namespace terrane::sandbox
