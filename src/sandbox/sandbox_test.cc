#include "sandbox/testing/fixture.h"

namespace terrane::sandbox {
namespace {

class Inside : public SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) start_broker();
  }
};

TEST_F(Inside, RunsAProgramUnderAnOwnUid) {
  json::object result = run_script("/usr/bin/id -u; /usr/bin/id -G; umask; pwd");
  EXPECT_EQ(result.at("code").as_int64(), 0);
  std::string text = output(result);
  std::vector<std::string_view> lines = split(text, '\n');
  ASSERT_GE(lines.size(), 4u) << text;
  std::int64_t uid = parse_int(lines[0]).value_or(-1);
  EXPECT_GE(uid, first_uid());
  EXPECT_LT(uid, first_uid() + 20);
  EXPECT_EQ(parse_int(lines[1]), uid) << "no other groups than its own";
  EXPECT_EQ(lines[2], "0007");
  EXPECT_EQ(lines[3], "/run/terrane/work");
}

TEST_F(Inside, SeesItsOwnProcessesOnly) {
  json::object result =
      run_script("cat /proc/1/comm; ls -d /proc/[0-9]* | wc -l; cat /proc/1/environ || echo unreadable");
  std::string text = output(result);
  std::vector<std::string_view> lines = split(text, '\n');
  ASSERT_GE(lines.size(), 3u) << text;
  EXPECT_EQ(lines[0], "terrane");
  EXPECT_LE(parse_int(lines[1]).value_or(1000), 5);
  EXPECT_NE(text.find("unreadable"), std::string::npos) << "pid 1 must not be open to its commands";
}

TEST_F(Inside, SeesNothingOfTheHost) {
  std::ofstream(directory_ / "secret") << "host secret";
  ASSERT_TRUE(std::filesystem::exists("/etc/shadow")) << "the control: it is there outside";
  json::object result = run_script("cat /etc/shadow; cat " + (directory_ / "secret").string() +
                                   "; ls /root /home /sys /work 2>&1; ls -A /run/terrane; touch /new "
                                   "/usr/new /etc/new /dev/new; env; true");
  std::string text = output(result);
  EXPECT_EQ(text.find("root:"), std::string::npos) << text;
  EXPECT_EQ(text.find("host secret"), std::string::npos) << text;
  EXPECT_EQ(text.find("shim environment"), std::string::npos) << text;
  for (const char* path : {"/root", "/home", "/sys", "/new", "/usr/new", "/etc/new", "/dev/new"}) {
    EXPECT_NE(text.find(path), std::string::npos) << path << " in " << text;
  }
  EXPECT_EQ(text.find("created"), std::string::npos);
  EXPECT_FALSE(std::filesystem::exists("/usr/new"));
}

TEST_F(Inside, HasNoPrivilegesAndCannotGetAny) {
  json::object result = run_script(
      "grep -E 'CapEff|CapBnd|NoNewPrivs|Seccomp:' /proc/self/status; unshare -U true 2>&1; unshare -n true "
      "2>&1; mount -t tmpfs x /tmp 2>&1;"
      "perl -e 'require \"syscall.ph\" if 0; print syscall(101,16,1,0,0) == -1 ? \"ptrace refused\\n\" : "
      "\"ptrace done\\n\";'"
      "; perl -e 'use Socket; print socket(my $s, 40, 1, 0) ? \"vsock open\\n\" : \"vsock refused\\n\";'");
  std::string text = output(result);
  EXPECT_NE(text.find("CapEff:\t0000000000000000"), std::string::npos) << text;
  EXPECT_NE(text.find("NoNewPrivs:\t1"), std::string::npos) << text;
  EXPECT_NE(text.find("Seccomp:\t2"), std::string::npos) << text;
  EXPECT_NE(text.find("ptrace refused"), std::string::npos) << text;
  EXPECT_NE(text.find("vsock refused"), std::string::npos) << text;
  EXPECT_NE(text.find("unshare failed: Operation not permitted"), std::string::npos) << text;
}

TEST_F(Inside, ValuesAreInNoCommandLine) {
  json::object job = shell({"echo up > up; exec sleep 60"});
  job["commands"].as_array()[0].as_object()["environment"].as_object()["SECRET"] =
      "value-that-nobody-sees-7431";
  job["files"] = {{"/etc/terrane-test", "content-that-nobody-sees-7431"}};
  StartedShim shim = start(request("run-1", "phase-1"), job);
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(shim.run_directory / "work/up"); }));
  int looked_at = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::string text = read_small_file(entry.path() / "cmdline").value_or("");
    looked_at += text.empty() ? 0 : 1;
    EXPECT_EQ(text.find("nobody-sees-7431"), std::string::npos) << entry.path();
  }
  EXPECT_GT(looked_at, 3);
}

TEST_F(Inside, ReachesNoListenerOfTheHost) {
  Descriptor listener(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  ASSERT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  ASSERT_EQ(listen(listener.get(), 8), 0);
  getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &size);
  std::string port = std::to_string(ntohs(address.sin_port));
  std::string attack = "use IO::Socket::INET; print IO::Socket::INET->new(PeerAddr=>\"$_:" + port +
                       "\",Timeout=>2) ? \"reached $_\\n\" : \"not $_\\n\" for @ARGV;";
  std::string control = "/usr/bin/perl -e '" + attack + "' 127.0.0.1 | grep -q reached";
  ASSERT_EQ(std::system(control.c_str()), 0) << "the control: the listener is reached from outside";
  options_["network_pool"] = 1;
  stop_broker(SIGTERM);
  start_broker();
  for (bool network : {false, true}) {
    PhaseRequest wanted = request("run-net" + std::to_string(network), "phase-net" + std::to_string(network));
    wanted.network = network;
    start(wanted, shell({"perl -e '" + attack + "' 127.0.0.1 10.0.2.2 10.0.2.3 10.0.2.4"}));
    std::string text = output(first(outcome(wanted.phase)));
    EXPECT_EQ(text.find("reached"), std::string::npos) << text;
    EXPECT_NE(text.find("not 10.0.2.4"), std::string::npos) << text;
  }
}

TEST_F(Inside, ReachesThePlatformByTheRelay) {
  PhaseRequest wanted = request("run-1", "phase-1");
  wanted.hostname = "platform.example";
  wanted.relay_port = 443;
  start(wanted, shell({"perl -e 'use IO::Socket::INET; print "
                       "IO::Socket::INET->new(PeerAddr=>\"platform.example:443\",Timeout=>5)->getline'"}));
  EXPECT_EQ(output(first(outcome("phase-1"))), "relay of the shim\n");
}

TEST_F(Inside, ShowsBindsAndFilesReadOnly) {
  std::filesystem::create_directories(directory_ / "closed/store");
  std::ofstream(directory_ / "closed/store/engine") << "engine of the store";
  chmod((directory_ / "closed").c_str(), 0700);
  ASSERT_EQ(chown((directory_ / "closed").c_str(), worker, worker), 0);
  json::object job = shell({"cat /opt/store/engine /etc/terrane-test; echo x > /opt/store/new; true"});
  job["binds"] = {{(directory_ / "closed/store").string(), "/opt/store"}};
  job["files"] = {{"/etc/terrane-test", " and a file"}};
  start(request("run-1", "phase-1"), job);
  std::string text = output(first(outcome("phase-1")));
  EXPECT_EQ(text.find("engine of the store and a file"), 0u) << text;
  EXPECT_FALSE(std::filesystem::exists(directory_ / "closed/store/new"));
}

TEST_F(Inside, AWrongProgramOrBindIsSaid) {
  json::object result = run_script("true");
  EXPECT_EQ(result.at("code").as_int64(), 0);
  start(request("run-2", "phase-x"), {{"commands", {{{"argv", {"/usr/bin/there-is-none"}}}}}});
  EXPECT_NE(find_string(first(outcome("phase-x")), "error").value_or("").find("No such file"),
            std::string::npos);
  json::object job = shell({"true"});
  job["binds"] = {{"/root/none", "/opt/none"}};
  start(request("run-3", "phase-y"), job);
  EXPECT_NE(find_string(outcome("phase-y"), "error").value_or("").find("'/root/none' cannot be shown"),
            std::string::npos);
}

TEST_F(Inside, MuchOutputArrivesWhole) {
  json::object result = run_script("perl -e 'print \"x\" x 1000 for 1..900'");
  EXPECT_EQ(output(result).size(), 900000u);
  EXPECT_EQ(result.at("code").as_int64(), 0);
}

TEST_F(Inside, WhatACommandLeavesDoesNotHoldItUp) {
  auto begin = std::chrono::steady_clock::now();
  json::object result = run_script(
      "sleep 300 & setsid sh -c 'echo > up; exec sleep 300' & while [ ! -f up ]; do :; done; echo over");
  EXPECT_EQ(output(result), "over\n");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(10));
}

TEST_F(Inside, InterruptReachesTheCommand) {
  json::object job =
      shell({"trap 'echo interrupted; exit 7' INT; echo up > up; while :; do sleep 0.05; done"});
  job["interrupt_when"] = "up";
  start(request("run-1", "phase-1"), job);
  json::object result = first(outcome("phase-1"));
  EXPECT_EQ(output(result), "interrupted\n");
  EXPECT_EQ(result.at("code").as_int64(), 7);
}

}  // namespace
}  // namespace terrane::sandbox
