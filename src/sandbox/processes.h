#pragma once
#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <sys/types.h>

#include "base/task.h"
#include "net/io.h"
#include "sandbox/descriptor.h"

namespace terrane::sandbox {

/// The uids that have processes, and how many. Reads all of /proc.
std::map<uid_t, std::uint32_t> processes_by_uid();
/// SIGKILL to every process of the uid, in one system call made by a child with that uid; refuses uids below
/// 1000.
void kill_all_of(uid_t uid);
/// When the process was started, in clock ticks since boot; 0 when it is gone or a zombie. With the pid it
/// names a process for good.
std::uint64_t start_time_of(pid_t pid);

/// Runs `work` in a forked child (from a single-threaded process) and suspends until it ends. Returns what it
/// returned (0 to 255), or 255 when it was killed or threw.
Task<int> in_child(std::function<int()> work);

}  // namespace terrane::sandbox
