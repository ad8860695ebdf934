#include "testing/child.h"

#include <arpa/inet.h>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <functional>
#include <grp.h>
#include <pwd.h>
#include <stdexcept>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace terrane::testing {
namespace {

/// Reads `group N` lines until the test's process is gone, ends the groups, the last one first, and removes
/// the directory.
constexpr const char* watcher_script = R"sh(
groups=
while read -r word value; do groups="$value $groups"; done
for group in $groups; do
  kill -s QUIT -- "-$group" 2>/dev/null || continue
  for turn in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30; do
    kill -s 0 -- "-$group" 2>/dev/null || continue 2
    sleep 0.1
  done
  kill -s KILL -- "-$group" 2>/dev/null
done
rm -rf -- "$1"
)sh";

[[noreturn]] void fail(const std::string& what) {
  throw std::runtime_error(what + ": " + std::strerror(errno));
}

const passwd* account(const std::string& user) {
  if (user.empty() || geteuid() != 0) return nullptr;
  const passwd* found = getpwnam(user.c_str());
  if (!found) throw std::runtime_error("there is no user " + user);
  return found;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> found;
  for (std::string& text : texts) found.push_back(text.data());
  found.push_back(nullptr);
  return found;
}

/// In the forked child, where only system calls are allowed.
[[noreturn]] void become(const passwd* who, int input, int output, const char* directory, char** argv,
                         char** environment) {
  setsid();
  dup2(input, 0);
  dup2(output, 1);
  dup2(output, 2);
  close_range(3, ~0U, 0);
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  if (who && (setgroups(0, nullptr) != 0 || setgid(who->pw_gid) != 0 || setuid(who->pw_uid) != 0)) _exit(126);
  if (chdir(directory) != 0) _exit(126);
  execve(argv[0], argv, environment);
  _exit(127);
}

pid_t start(std::vector<std::string> argv, std::vector<std::string> environment, const passwd* who, int input,
            int output, const std::string& directory) {
  std::vector<char*> arguments = pointers(argv);
  std::vector<char*> variables = pointers(environment);
  pid_t child = fork();
  if (child < 0) fail("fork");
  if (child == 0) become(who, input, output, directory.c_str(), arguments.data(), variables.data());
  return child;
}

std::string tail(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string text((std::istreambuf_iterator<char>(in)), {});
  return text.size() > 4000 ? text.substr(text.size() - 4000) : text;
}

int exit_code(int status) { return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status); }

void nap() { std::this_thread::sleep_for(std::chrono::milliseconds(20)); }

template <class Address>
bool accepts(int family, const Address& address) {
  int handle = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (handle < 0) return false;
  bool connected = connect(handle, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
  close(handle);
  return connected;
}

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<std::uint16_t>(port));
  return address;
}

}  // namespace

TestDirectory::TestDirectory(const std::string& name, const std::string& user) : user_(user) {
  std::string pattern = (std::filesystem::temp_directory_path() / ("terrane-" + name + "-XXXXXX")).string();
  if (!mkdtemp(pattern.data())) fail("mkdtemp");
  path_ = pattern;
  if (const passwd* who = account(user); who && chown(pattern.c_str(), who->pw_uid, who->pw_gid) != 0)
    fail("chown");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) fail("pipe2");
  int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  watcher_ = start({"/bin/sh", "-c", watcher_script, "watcher", pattern}, {"PATH=/usr/bin:/bin"}, nullptr,
                   ends[0], null, "/");
  close(null);
  close(ends[0]);
  pipe_ = ends[1];
}

TestDirectory::~TestDirectory() {
  close(pipe_);
  waitpid(watcher_, nullptr, 0);
}

void TestDirectory::adopt_group(pid_t group) {
  std::string line = "group " + std::to_string(group) + "\n";
  if (::write(pipe_, line.data(), line.size()) != static_cast<ssize_t>(line.size()))
    fail("telling the watcher");
}

void TestDirectory::write(const std::string& name, const std::string& text, mode_t mode) const {
  std::filesystem::path file = path_ / name;
  std::ofstream(file, std::ios::trunc) << text;
  if (chmod(file.c_str(), mode) != 0) fail("chmod");
  if (const passwd* who = account(user_); who && chown(file.c_str(), who->pw_uid, who->pw_gid) != 0)
    fail("chown");
}

Child::Child(const ChildOptions& options) {
  std::vector<std::string> environment;
  for (const auto& [key, value] : options.environment) environment.push_back(key + "=" + value);
  int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int output = open(options.log.empty() ? "/dev/null" : options.log.c_str(),
                    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
  if (output < 0) fail(options.log.string());
  pid_ = start(options.argv, std::move(environment), account(options.user), input, output,
               options.directory.string());
  close(input);
  close(output);
}

Child::Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)), status_(other.status_) {}

Child::~Child() {
  if (pid_ > 0 && running()) wait(0);
}

bool Child::running() {
  if (status_ || pid_ < 0) return false;
  int status = 0;
  if (waitpid(pid_, &status, WNOHANG) != pid_) return true;
  status_ = exit_code(status);
  return false;
}

void Child::signal(int number, bool group) const {
  if (pid_ > 0 && !status_) ::kill(group ? -pid_ : pid_, number);
}

int Child::wait(int seconds) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (running()) {
    if (std::chrono::steady_clock::now() >= end) signal(SIGKILL, true);
    nap();
  }
  return *status_;
}

void run_program(const ChildOptions& options) {
  Child child(options);
  int status = child.wait(60);
  if (status != 0)
    throw std::runtime_error(options.argv[0] + " failed with " + std::to_string(status) + ": " +
                             tail(options.log));
}

void wait_ready(Child& child, const std::filesystem::path& log, int seconds,
                const std::function<bool()>& ready) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!ready()) {
    if (!child.running()) throw std::runtime_error("a test server ended: " + tail(log));
    if (std::chrono::steady_clock::now() >= end)
      throw std::runtime_error("a test server is not ready in time: " + tail(log));
    nap();
  }
}

int free_port() {
  int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (bind(handle, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fail("bind");
  if (getsockname(handle, reinterpret_cast<sockaddr*>(&address), &size) != 0) fail("getsockname");
  close(handle);
  return ntohs(address.sin_port);
}

bool accepts_tcp(int port) { return accepts(AF_INET, loopback(port)); }

bool accepts_unix(const std::filesystem::path& socket) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.string().size() >= sizeof address.sun_path)
    throw std::runtime_error("the socket's path is too long: " + socket.string());
  std::strcpy(address.sun_path, socket.c_str());
  return accepts(AF_UNIX, address);
}

}  // namespace terrane::testing
