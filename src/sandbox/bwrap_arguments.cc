#include "sandbox/bwrap_arguments.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/error.h"
#include "sandbox/inside_program.h"
#include "sandbox/launch_protocol.h"

namespace terrane::sandbox {

namespace fs = std::filesystem;

namespace {

class Builder {
 public:
  void add(std::initializer_list<std::string_view> arguments) {
    for (std::string_view argument : arguments) {
      input.arguments += argument;
      input.arguments += '\0';
    }
  }

  void tree(const fs::path& source, std::string_view destination, bool writable) {
    Descriptor opened(open(source.c_str(), O_PATH | O_CLOEXEC));
    if (!opened)
      throw Error(Code::unprocessable,
                  "'" + source.string() + "' cannot be shown in the sandbox: " + std::strerror(errno) + ".");
    std::string shown = std::string(trees_directory) + "/" + std::to_string(input.trees.size());
    add({writable ? "--bind" : "--ro-bind", shown, destination});
    input.trees.push_back(std::move(opened));
  }

  // A file of the sandbox's root, which is read-only by the end. A mount for each would cost bubblewrap a
  // look through all mounts of the machine.
  void file(std::string_view destination, std::string_view content, std::string_view permissions = "0444") {
    std::string number = std::to_string(first_data_number + static_cast<int>(input.data.size()));
    add({"--perms", permissions, "--file", number, destination});
    input.data.push_back(make_memory_file(content));
  }

  BwrapInput input;
};

void require_inside(std::string_view path) {
  bool clean = path.starts_with('/') && path.size() < 4096 && path.find('\0') == std::string_view::npos;
  for (const fs::path& part : fs::path(std::string(path))) clean = clean && part != "..";
  if (!clean)
    throw Error(Code::unprocessable, "'" + std::string(path) + "' is no absolute path inside the sandbox.");
}

void require_line(std::string_view text, const char* what) {
  bool clean = text.size() <= 253 &&
               std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c != '#' && c != 0x7f; });
  if (!clean || text.empty())
    throw Error(Code::unprocessable, std::string(what) + " '" + std::string(text) + "' is not allowed.");
}

std::string hosts_file(const ShimInheritance& inheritance, const SandboxSpec& spec) {
  std::string text = "127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n";
  if (!inheritance.hostname.empty()) {
    text += "127.0.0.1 " + inheritance.hostname + "\n";
    if (inheritance.relays.size() > 1) text += "::1 " + inheritance.hostname + "\n";
  }
  for (const auto& [name, address] : spec.hosts) {
    require_line(name, "The host");
    require_line(address, "The address");
    text += address + " " + name + "\n";
  }
  return text;
}

// The system's programs and libraries, and the few files of /etc that they want. Nothing else of the host.
void add_system(Builder& builder) {
  builder.add({"--ro-bind", "/usr", "/usr"});
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    fs::path path = fs::path("/") / name;
    std::error_code error;
    if (fs::is_symlink(path, error)) {
      builder.add({"--symlink", fs::read_symlink(path, error).string(), path.string()});
    } else if (fs::is_directory(path, error)) {
      builder.add({"--ro-bind", path.string(), path.string()});
    }
  }
  builder.add({"--proc", "/proc", "--dev", "/dev", "--size", "268435456", "--tmpfs", "/dev/shm",
               "--remount-ro", "/dev"});
  for (const char* path : {"/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/alternatives"}) {
    if (access(path, F_OK) == 0) builder.add({"--ro-bind", path, path});
  }
  for (const char* path : {"/etc/ssl/openssl.cnf", "/etc/ld.so.cache"}) {
    if (std::optional<std::string> content = read_small_file(path)) builder.file(path, *content);
  }
}

void add_files(Builder& builder, const ShimInheritance& inheritance, const SandboxSpec& spec) {
  std::string id = std::to_string(inheritance.run_uid);
  builder.file("/etc/passwd", "run:x:" + id + ":" + id + "::" + home_inside + ":/bin/sh\n");
  builder.file("/etc/group", "run:x:" + id + ":\n");
  builder.file("/etc/hosts", hosts_file(inheritance, spec));
  builder.file("/etc/nsswitch.conf", "passwd: files\ngroup: files\nhosts: files dns\n");
  builder.file("/etc/resolv.conf", inheritance.network ? "nameserver 10.0.2.3\noptions edns0\n" : "");
  for (const auto& [path, content] : spec.files) {
    require_inside(path);
    if (content.size() > 1 << 20)
      throw Error(Code::unprocessable, "The file '" + path + "' is larger than 1 MiB.");
    builder.file(path, content);
  }
}

}  // namespace

BwrapInput bwrap_input(const ShimInheritance& inheritance, const SandboxSpec& spec) {
  if (spec.binds.size() > 64) throw Error(Code::unprocessable, "A sandbox shows at most 64 directories.");
  if (spec.files.size() > 64) throw Error(Code::unprocessable, "A sandbox gets at most 64 files.");
  Builder builder;
  builder.add({"--unshare-user", "--unshare-ipc", "--unshare-pid", "--unshare-uts", "--unshare-cgroup-try",
               "--hostname", "terrane", "--new-session", "--as-pid-1", "--cap-drop", "ALL", "--clearenv"});
  add_system(builder);
  builder.tree(inheritance.run_directory / "tmp", "/tmp", true);
  builder.add({"--dir", "/var", "--symlink", "../tmp", "/var/tmp"});
  builder.tree(inheritance.run_directory / "work", work_inside, true);
  builder.tree(inheritance.run_directory / "home", home_inside, true);
  builder.file(binary_inside, inside_program(), "0555");
  add_files(builder, inheritance, spec);
  for (const Bind& bind : spec.binds) {
    require_inside(bind.destination);
    builder.tree(bind.source, bind.destination, bind.writable);
  }
  builder.add({"--remount-ro", "/", "--chdir", work_inside, "--seccomp", std::to_string(filter_number)});
  return std::move(builder.input);
}

}  // namespace terrane::sandbox
