#include "sandbox/network.h"

#include <arpa/inet.h>
#include <sched.h>
#include <sys/socket.h>

#include "sandbox/testing/fixture.h"

namespace terrane::sandbox {
namespace {

TEST(Cidrs, AreReadOrRefused) {
  EXPECT_EQ(parse_cidr("169.254.0.0/16").prefix, 16);
  EXPECT_EQ(parse_cidr("10.0.0.1").prefix, 32);
  EXPECT_TRUE(parse_cidr("fc00::/7").v6);
  for (const char* bad : {"", "10.0.0.0/33", "10.0.0/8", "::/129", "x", "10.0.0.0/", "10.0.0.0/-1"})
    EXPECT_THROW(parse_cidr(bad), Error) << bad;
}

// A stand-in for the world, in namespaces of its own: the broker's "host" at 192.0.2.1, and beyond it a
// machine that has the metadata address and an ordinary one, and listens on port 80.
class NetworkTest : public SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    if (IsSkipped() || HasFatalFailure()) return;
    if (access("/usr/bin/slirp4netns", X_OK) != 0) GTEST_SKIP() << "needs slirp4netns";
    if (access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "needs /dev/net/tun";
    host_ = make_loopback_network();
    world_ = make_loopback_network();
    ASSERT_TRUE(ip(host_, "link add near type veth peer name far netns /proc/self/fd/" +
                              std::to_string(inheritable(world_))));
    for (const char* arguments :
         {"addr add 192.0.2.1/24 dev near", "link set near up", "route add 169.254.169.254 via 192.0.2.2",
          "route add 198.51.100.7 via 192.0.2.2"}) {
      ASSERT_TRUE(ip(host_, arguments)) << arguments;
    }
    for (const char* arguments : {"addr add 192.0.2.2/24 dev far", "addr add 169.254.169.254/32 dev lo",
                                  "addr add 198.51.100.7/32 dev lo", "link set far up"}) {
      ASSERT_TRUE(ip(world_, arguments)) << arguments;
    }
    for (Network* network : {&host_, &world_}) listeners_.push_back(listen_everywhere(*network));
    broker_network_ = checked(fcntl(host_.space.get(), F_DUPFD_CLOEXEC, 3), "dup");
    options_["network_pool"] = 1;
  }

  static int inheritable(const Network& network) {
    fcntl(network.space.get(), F_SETFD, 0);
    return network.space.get();
  }

  static bool ip(const Network& network, const std::string& arguments) {
    bool done = false;
    in_network(network.space.get(), [&] { done = std::system(("ip " + arguments).c_str()) == 0; });
    return done;
  }

  static Descriptor listen_everywhere(const Network& network) {
    Descriptor listener;
    in_network(network.space.get(), [&] {
      listener = checked(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), "socket");
      sockaddr_in address{};
      address.sin_family = AF_INET;
      address.sin_port = htons(80);
      if (bind(listener.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
          listen(listener.get(), 64) != 0)
        fail("listen");
    });
    return listener;
  }

  // Which of the addresses a program reaches at port 80.
  static std::string probe(std::string_view addresses) {
    return "perl -e 'use IO::Socket::INET; for (@ARGV) { print \"$_ \" if "
           "IO::Socket::INET->new(PeerAddr=>\"$_:80\",Timeout=>3) }' " +
           std::string(addresses);
  }

  std::string reached_from_a_sandbox(std::string_view addresses) {
    std::string phase = "phase-" + std::to_string(++phases_);
    PhaseRequest wanted = request("run-" + phase, phase);
    wanted.network = true;
    start(wanted, shell({probe(addresses)}));
    return output(first(outcome(phase)));
  }

  // The slirp4netns processes on the broker's "host".
  int count_slirps() const {
    struct stat home{}, other{};
    fstat(host_.space.get(), &home);
    int count = 0;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      if (read_small_file(entry.path() / "comm") != "slirp4netns\n") continue;
      if (stat((entry.path() / "ns/net").c_str(), &other) == 0 && other.st_ino == home.st_ino) ++count;
    }
    return count;
  }

  Network host_;
  Network world_;
  std::vector<Descriptor> listeners_;
};

TEST_F(NetworkTest, WhatIsRefusedIsUnreachableAndTheRestIsNot) {
  constexpr std::string_view all = "127.0.0.1 10.0.2.2 192.0.2.1 169.254.169.254 198.51.100.7";
  bool reached_outside = false;
  in_network(host_.space.get(), [&] {
    reached_outside =
        std::system((probe(all) + " | grep -q '127.0.0.1 192.0.2.1 169.254.169.254 198.51.100.7'").c_str()) ==
        0;
  });
  ASSERT_TRUE(reached_outside) << "the control: the host itself reaches them";

  start_broker();
  EXPECT_EQ(reached_from_a_sandbox(all), "169.254.169.254 198.51.100.7 ")
      << "never the host itself; the rest is not refused here";
  stop_broker(SIGTERM);
  options_["unreachable"] = {"169.254.0.0/16", "10.0.0.0/8", "fc00::/7"};
  start_broker();
  EXPECT_EQ(reached_from_a_sandbox(all), "198.51.100.7 ");
}

TEST_F(NetworkTest, MakingANetworkLeavesTheHostsSharedMountsAlone) {
  // slirp4netns' own sandbox once detached what was mounted below any shared mount of the host, `ip netns`
  // names among them.
  const std::string shared = directory_.string() + "/shared";
  const std::string inner = shared + "/inner";
  ASSERT_EQ(std::system(("mkdir " + shared + " && mount -t tmpfs t " + shared + " && mount --make-shared " +
                         shared + " && mkdir " + inner + " && mount -t tmpfs t " + inner)
                            .c_str()),
            0);
  start_broker();
  reached_from_a_sandbox("198.51.100.7");
  EXPECT_EQ(std::system(("mountpoint -q " + inner).c_str()), 0);
  EXPECT_EQ(std::system(("umount " + inner + " && umount " + shared).c_str()), 0);
}

TEST_F(NetworkTest, TheNetworkLivesAsLongAsTheSandboxAndNoLonger) {
  start_broker();
  PhaseRequest wanted = request("run-1", "phase-1");
  wanted.network = true;
  StartedShim shim = start(
      wanted, shell({"trap '" +
                     std::string("perl -MIO::Socket::INET -e \"print F qq(x) if "
                                 "IO::Socket::INET->new(qq(198.51.100.7:80)) and open(F, qq(>kept))\"") +
                     "; exit' INT; echo up > up; while :; do sleep 0.05; done"}));
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(shim.run_directory / "work/up"); }));
  stop_broker(SIGKILL);
  kill(shim.pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(shim.run_directory / "work/kept"); }))
      << "an engine that is interrupted because its shim died still needs its network";
  start_broker();
  EXPECT_TRUE(eventually([&] { return info("phase-1")->ended; }));
  EXPECT_TRUE(eventually([&] { return count_slirps() == 1; })) << "one stays, in the new broker's pool";
}

}  // namespace
}  // namespace terrane::sandbox
