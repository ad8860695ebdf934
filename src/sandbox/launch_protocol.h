#pragma once
#include <cstdint>

/// What travels over the control socket of a sandbox (unix SOCK_SEQPACKET): first one LaunchHeader from the
/// shim to the launcher, then ControlMessages between the shim and pid 1 inside. Both ends run the same
/// program file, so the version only guards against mistakes.
namespace terrane::sandbox {

inline constexpr std::uint32_t protocol_version = 1;
inline constexpr std::size_t most_trees = 96;
inline constexpr std::size_t most_data_files = 96;
inline constexpr std::size_t most_commands = 16;        ///< that run at a time
inline constexpr std::size_t most_payload = 16u << 20;  ///< bytes of a command's arguments and environment

/// Where the launcher puts the descriptors for bubblewrap, and the trees in its own mount namespace.
inline constexpr int control_number = 3;
inline constexpr int keep_number = 4;  ///< keeps the sandbox's network alive as long as pid 1 has it
inline constexpr int arguments_number = 5;
inline constexpr int filter_number = 6;
inline constexpr int first_data_number = 10;
inline constexpr const char* trees_directory = "/tmp";  ///< tree i is mounted at /tmp/i

/// The descriptors that come with it, in this order: standard error, bubblewrap's arguments (NUL-separated),
/// `data_files` files, `trees` directories or files (O_PATH) that the launcher mounts.
struct LaunchHeader {
  std::uint32_t version = protocol_version;
  std::uint32_t data_files = 0;
  std::uint32_t trees = 0;
  std::uint32_t grace = 60;  ///< seconds, for pid 1
};

enum class Verb : std::uint32_t {
  // shim to pid 1
  exec =
      1,  ///< with descriptors: payload, output write end, errors write end, output read end, errors read end
  signal = 2,  ///< to all running commands' groups when id is 0; value is the number
  end = 3,     ///< kill everything and exit
  // pid 1 to shim
  ready = 16,
  started = 17,  ///< value is the pid inside
  failed = 18,   ///< value is errno
  exited = 19,   ///< value is waitpid's status
};

/// The payload of `exec` is a file of NUL-terminated texts: number of arguments, number of variables,
/// directory, the arguments, the variables.
struct ControlMessage {
  std::uint32_t version = protocol_version;
  Verb verb = Verb::ready;
  std::uint32_t id = 0;
  std::int32_t value = 0;
};

}  // namespace terrane::sandbox
