#include "sandbox/seccomp.h"

#include <cerrno>
#include <memory>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"

namespace terrane::sandbox {

namespace {

// Refused with EPERM. Names that a kernel or libseccomp does not know are skipped: it cannot do them.
constexpr const char* refused_calls[] = {
    // other processes: variables and keys of engine and providers, and pid 1 of the sandbox
    "ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "pidfd_getfd", "kcmp",
    // namespaces and mounts
    "unshare", "setns", "mount", "umount", "umount2", "pivot_root", "chroot", "mount_setattr", "move_mount",
    "open_tree", "fsopen", "fsconfig", "fsmount", "fspick", "name_to_handle_at", "open_by_handle_at",
    "fanotify_init", "quotactl", "quotactl_fd",
    // large kernel surfaces that no engine needs
    "bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "io_uring_enter", "io_uring_register",
    "keyctl", "add_key", "request_key", "lookup_dcookie", "vm86", "vm86old", "modify_ldt", "uselib", "ustat",
    "sysfs", "_sysctl", "nfsservctl", "vserver",
    // the machine
    "kexec_load", "kexec_file_load", "init_module", "finit_module", "delete_module", "create_module",
    "query_module", "get_kernel_syms", "reboot", "swapon", "swapoff", "acct", "syslog", "iopl", "ioperm",
    "settimeofday", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64", "adjtimex",
    "stime", "sethostname", "setdomainname", "vhangup", "migrate_pages", "move_pages"};

constexpr std::uint64_t new_namespaces[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                            CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

struct Release {
  void operator()(void* context) const { seccomp_release(context); }
};

class Filter {
 public:
  Filter() : context_(seccomp_init(SCMP_ACT_ALLOW)) {
    if (!context_) throw Error(Code::internal, "seccomp_init failed.");
  }

  void refuse(const char* call, int error, std::vector<scmp_arg_cmp> conditions = {}) {
    int number = seccomp_syscall_resolve_name(call);
    if (number == __NR_SCMP_ERROR) return;
    int result = seccomp_rule_add_array(context_.get(), SCMP_ACT_ERRNO(static_cast<unsigned>(error)), number,
                                        static_cast<unsigned>(conditions.size()), conditions.data());
    // -EDOM and -EINVAL here mean that this architecture has no such call.
    if (result < 0 && result != -EDOM && result != -EINVAL)
      throw Error(Code::internal, std::string("seccomp refuses the rule for ") + call + ".");
  }

  Descriptor file() {
    Descriptor program = checked(memfd_create("seccomp", MFD_CLOEXEC), "memfd_create");
    if (seccomp_export_bpf(context_.get(), program.get()) < 0)
      throw Error(Code::internal, "seccomp_export_bpf failed.");
    if (lseek(program.get(), 0, SEEK_SET) != 0) fail("lseek");
    return program;
  }

 private:
  std::unique_ptr<void, Release> context_;
};

}  // namespace

Descriptor seccomp_program() {
  Filter filter;
  for (const char* call : refused_calls) filter.refuse(call, EPERM);
  for (std::uint64_t flag : new_namespaces)
    filter.refuse("clone", EPERM, {{0, SCMP_CMP_MASKED_EQ, flag, flag}});
  filter.refuse("clone3",
                ENOSYS);  // its flags lie in memory, where a filter cannot look; libraries fall back to clone
  // Typing into, or drawing on, a terminal that somebody else reads. The kernel looks at the lower 32 bits
  // only.
  for (std::uint64_t request : {TIOCSTI, TIOCLINUX})
    filter.refuse("ioctl", EPERM, {{1, SCMP_CMP_MASKED_EQ, 0xffffffffu, request}});
  // Families besides unix, inet, inet6 and netlink: vsock reaches the hypervisor whatever the network
  // namespace.
  filter.refuse("socket", EAFNOSUPPORT, {{0, SCMP_CMP_GT, AF_NETLINK, 0}});
  for (std::uint64_t family = AF_INET + 1; family < AF_NETLINK; ++family) {
    if (family != AF_INET6) filter.refuse("socket", EAFNOSUPPORT, {{0, SCMP_CMP_EQ, family, 0}});
  }
  return filter.file();
}

}  // namespace terrane::sandbox
