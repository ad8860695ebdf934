#include "sandbox/network.h"

#include <arpa/inet.h>
#include <cstdlib>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "net/process.h"
#include "sandbox/readable.h"

namespace terrane::sandbox {

namespace {

Descriptor current_network() {
  return checked(open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC), "Opening the network namespace");
}

void go_back(int home) {
  // Going on in a foreign network would hand its sockets to the wrong side.
  if (setns(home, CLONE_NEWNET) != 0) std::abort();
}

Descriptor listen_on(int family, const sockaddr* address, socklen_t size) {
  Descriptor socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int on = 1;
  if (!socket) return {};
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (family == AF_INET6) setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  if (bind(socket.get(), address, size) != 0 || listen(socket.get(), 64) != 0) return {};
  return socket;
}

}  // namespace

void in_network(int space, const std::function<void()>& work) {
  Descriptor home = current_network();
  if (setns(space, CLONE_NEWNET) != 0) fail("Entering a network namespace");
  try {
    work();
  } catch (...) {
    go_back(home.get());
    throw;
  }
  go_back(home.get());
}

Network make_loopback_network() {
  Descriptor home = current_network();
  if (unshare(CLONE_NEWNET) != 0) fail("Making a network namespace");
  Network network;
  try {
    network.space = current_network();
    bring_up_loopback();
    // Of what comes later nothing speaks IPv6; ::1 of the loopback interface stays.
    write_to("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1");
  } catch (...) {
    go_back(home.get());
    throw;
  }
  go_back(home.get());
  return network;
}

std::vector<Descriptor> listen_inside(const Network& network, std::uint16_t port) {
  std::vector<Descriptor> sockets;
  in_network(network.space.get(), [&] {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockets.push_back(listen_on(AF_INET, reinterpret_cast<sockaddr*>(&v4), sizeof v4));
    if (!sockets.front()) fail("Listening inside the sandbox's network");
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    v6.sin6_addr = in6addr_loopback;
    Descriptor second = listen_on(AF_INET6, reinterpret_cast<sockaddr*>(&v6), sizeof v6);
    if (second) sockets.push_back(std::move(second));
  });
  return sockets;
}

struct NetworkMaker::State {
  net::Executor executor;
  std::filesystem::path slirp;
  std::vector<Cidr> unreachable;
  std::set<pid_t> alive;  // slirp processes of this broker

  static Task<> watch(std::shared_ptr<State> state, net::Process process);
  static Task<> wait_wired(int ready_end);
};

// slirp4netns writes "1" when the interface is configured; the end of the pipe means that it died.
Task<> NetworkMaker::State::wait_wired(int ready_end) {
  co_await wait_readable(ready_end);
  char byte = 0;
  if (read(ready_end, &byte, 1) != 1)
    throw Error(Code::internal, "slirp4netns ended before the network was ready.");
}

Task<> NetworkMaker::State::watch(std::shared_ptr<State> state, net::Process process) {
  co_await process.wait();
  state->alive.erase(process.pid());
}

NetworkMaker::NetworkMaker(net::Executor executor, std::filesystem::path slirp, std::vector<Cidr> unreachable)
    : state_(
          std::make_shared<State>(State{std::move(executor), std::move(slirp), std::move(unreachable), {}})) {
}

Task<Network> NetworkMaker::make() {
  std::shared_ptr<State> state = state_;
  Network network = make_loopback_network();
  if (access(state->slirp.c_str(), X_OK) != 0) co_return network;
  Pair keep = make_pipe();
  Pair ready = make_pipe();
  net::ProcessOptions options;
  // Its own sandbox unmounts the old root; without a private copy of the mount table that reaches every
  // shared mount of the host.
  options.argv = {"/usr/bin/unshare",    "--mount",          "--propagation", "private",
                  state->slirp.string(), "--configure",      "--mtu=65520",   "--disable-host-loopback",
                  "--enable-sandbox",    "--enable-seccomp", "--exit-fd=3",   "--ready-fd=4",
                  "--netns-type=path",   "/proc/self/fd/5",  "tap0"};
  options.files = {{keep.first.get(), 3}, {ready.second.get(), 4}, {network.space.get(), 5}};
  net::Process process = net::Process::start(options);
  network.slirp = process.pid();
  state->alive.insert(process.pid());
  net::spawn(state->executor, "slirp4netns", State::watch(state, std::move(process)));
  ready.second.reset();
  network.keep = std::move(keep.second);
  co_await net::with_deadline(std::chrono::seconds(10), "slirp4netns", State::wait_wired(ready.first.get()));
  std::vector<Cidr> ranges = own_addresses();
  ranges.insert(ranges.end(), state->unreachable.begin(), state->unreachable.end());
  in_network(network.space.get(), [&ranges] { restrict_routing(ranges); });
  network.outside = true;
  co_return network;
}

bool NetworkMaker::intact(const Network& network) const {
  return network.slirp < 0 || state_->alive.contains(network.slirp);
}

}  // namespace terrane::sandbox
