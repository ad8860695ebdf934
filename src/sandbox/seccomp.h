#pragma once
#include "sandbox/descriptor.h"

namespace terrane::sandbox {

/// The filter of system calls for everything inside a sandbox, as a file of BPF instructions that bubblewrap
/// loads. It refuses what reaches other processes, namespaces, mounts, kernel facilities and rare address
/// families; ordinary programs do not notice. Throws Error{internal}.
Descriptor seccomp_program();

}  // namespace terrane::sandbox
