#pragma once
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <utility>
#include <vector>

namespace terrane::sandbox {

/// A file descriptor that is closed with its object.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { reset(); }

  int get() const noexcept { return number_; }
  int release() noexcept { return std::exchange(number_, -1); }
  void reset() noexcept;
  explicit operator bool() const noexcept { return number_ >= 0; }

 private:
  int number_ = -1;
};

/// Throws Error{internal} that names the step and errno's text.
[[noreturn]] void fail(std::string_view step);
/// A descriptor from a system call's result; throws as `fail` when it is negative.
Descriptor checked(int number, std::string_view step);

/// Two ends; everything is close-on-exec.
struct Pair {
  Descriptor first;   ///< the end that reads, of a pipe
  Descriptor second;  ///< the end that writes, of a pipe
};
Pair make_pipe();
Pair make_socket_pair();  ///< unix SOCK_SEQPACKET
/// An anonymous file with that content, at its beginning.
Descriptor make_memory_file(std::string_view content);

/// A message of a SEQPACKET socket with the descriptors that came with it.
struct Message {
  std::string bytes;
  std::vector<Descriptor> descriptors;
};
/// Sends one message without raising SIGPIPE; false when the other side is gone or (non-blocking) does not
/// read.
bool send_message(int socket, std::string_view bytes, std::span<const int> descriptors = {},
                  bool wait = true);
/// Takes one message of at most `limit` bytes and 253 descriptors; nothing at the end of the connection, on
/// an error, and on a message that was cut.
std::optional<Message> receive_message(int socket, std::size_t limit, bool wait = true);

/// The content of a small (at most 1 MiB) file, such as those of /proc and cgroups; nothing when it cannot be
/// read.
std::optional<std::string> read_small_file(const std::filesystem::path& path);
/// Writes with one write(2) to an existing file; false with errno when that fails.
bool write_to(const std::filesystem::path& path, std::string_view text);

}  // namespace terrane::sandbox
