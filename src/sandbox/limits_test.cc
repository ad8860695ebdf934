#include "sandbox/testing/fixture.h"

namespace terrane::sandbox {
namespace {

TEST(LimitsHitTest, NamesWhatWasHit) {
  LimitsHit hit;
  EXPECT_FALSE(hit.any());
  EXPECT_EQ(hit.describe(), "");
  hit.throttled_us = 5;
  EXPECT_FALSE(hit.any()) << "slow is not failed";
  hit.memory_kills = 1;
  hit.storage_full = true;
  EXPECT_TRUE(hit.any());
  EXPECT_EQ(hit.describe(),
            "The memory limit was hit (1 process killed); the size limit of the run directory was hit.");
}

TEST(CgroupMounts, OfBothVersionsAreFound) {
  std::vector<Hierarchy> found = parse_cgroup_mounts(
      "cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,relatime,cpu,cpuacct 0 0\n"
      "cgroup /sys/fs/cgroup/freezer cgroup rw,relatime,freezer 0 0\n"
      "cgroup /sys/fs/cgroup/memory cgroup ro,relatime,memory 0 0\n"
      "cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n"
      "short line\n");
  std::vector<Hierarchy> expected = {{.mount = "/sys/fs/cgroup/cpu,cpuacct", .cpu = true},
                                     {.mount = "/sys/fs/cgroup/unified", .unified = true}};
  EXPECT_EQ(found, expected);
}

class Limits : public SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) start_broker();
  }
  static std::string limits(const json::object& outcome) {
    return find_string(outcome, "limits").value_or("none");
  }
};

TEST_F(Limits, NoneIsHitByAnOrdinaryCommand) {
  start(request("run-1", "phase-1"), shell({"true"}));
  EXPECT_EQ(limits(outcome("phase-1")), "");
}

TEST_F(Limits, MemoryTakesTheCommandAndNotTheSandbox) {
  start(request("run-1", "phase-1"),
        shell({"exec perl -e '$x = \"a\" x (600 << 20); print \"got it\"'", "echo still here"}));
  json::object result = outcome("phase-1");
  EXPECT_EQ(first(result).at("signal").as_int64(), SIGKILL);
  EXPECT_EQ(output(first(result)), "");
  EXPECT_EQ(output(find_array(result, "commands")->at(1).as_object()), "still here\n");
  EXPECT_EQ(limits(result), "The memory limit was hit (1 process killed).");
  ASSERT_TRUE(eventually([&] { return info("phase-1")->ended; }));
  EXPECT_EQ(info("phase-1")->limits.memory_kills, 1u) << "the broker keeps it for who comes later";
}

TEST_F(Limits, ProcessesAreCounted) {
  start(request("run-1", "phase-1"), shell({"perl -e 'for (1..200) { my $p = fork; if (!defined $p) { print "
                                            "\"refused at $_\\n\"; last } if (!$p) { sleep 60; exit } }'",
                                            "echo on"}));
  json::object result = outcome("phase-1");
  EXPECT_EQ(output(first(result)).find("refused at "), 0u) << output(first(result));
  EXPECT_EQ(output(find_array(result, "commands")->at(1).as_object()), "on\n")
      << "what the first left is killed with its group";
  EXPECT_EQ(limits(result), "The limit of processes was hit (1 not started).");
}

TEST_F(Limits, AForkBombStaysInside) {
  PhaseRequest wanted = request("run-1", "phase-1");
  StartedShim shim = start(wanted, shell({"echo up > up; perl -e 'while (1) { fork }'"}));
  ASSERT_TRUE(eventually([&] { return info("phase-1")->limits.refused_processes > 10; }));
  EXPECT_LE(info("phase-1")->processes, 66u);
  await(client().kill("phase-1"));
  EXPECT_EQ(first(outcome("phase-1")).at("lost").as_bool(), true);
  EXPECT_NE(limits(outcome("phase-1")).find("limit of processes"), std::string::npos);
}

TEST_F(Limits, StorageIsLimitedAndNamed) {
  start(request("run-1", "phase-1"), shell({"dd if=/dev/zero of=big bs=1M count=100 2>&1",
                                            "rm big; dd if=/dev/zero of=/tmp/big bs=1M count=100 2>&1"}));
  json::object result = outcome("phase-1");
  for (const json::value& command : *find_array(result, "commands")) {
    EXPECT_NE(output(command.as_object()).find("No space left"), std::string::npos)
        << output(command.as_object());
  }
  EXPECT_EQ(limits(result), "The size limit of the run directory was hit.");
}

TEST_F(Limits, ProcessorTimeIsLimited) {
  PhaseRequest wanted = request("run-1", "phase-1");
  wanted.cpus = 0.2;
  start(wanted, shell({"perl -e 'my $x = 0; $x += $_ for 1..5000000; print (times)'"}));
  json::object result = outcome("phase-1");
  EXPECT_GT(find_int(result, "throttled_us").value_or(0), 0);
  EXPECT_EQ(limits(result), "") << "slow, but not failed";
}

class WeakLimits : public SandboxTest {};

TEST_F(WeakLimits, AreRefusedUnlessAllowed) {
  pid_t broker = fork();
  if (broker == 0) {
    std::string text = json::serialize(options_);
    if (!hide_cgroups()) _exit(126);
    execl(SANDBOX_PROGRAM, SANDBOX_PROGRAM, "broker", text.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(broker, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
}

TEST_F(WeakLimits, StillLimitProcessesAndMemory) {
#if __has_feature(address_sanitizer)
  GTEST_SKIP() << "AddressSanitizer reserves more memory than the limit allows";
#endif
  options_["weak_limits"] = true;
  without_cgroups_ = true;
  start_broker();
  PhaseRequest wanted = request("run-1", "phase-1");
  wanted.processes = 32;
  start(wanted, shell({"perl -e 'for (1..200) { my $p = fork; if (!defined $p) { print \"refused\"; last } "
                       "if (!$p) { sleep 60; exit } }'",
                       "exec perl -e '$x = \"a\" x (600 << 20); print \"got it\"'", "echo on"}));
  json::object result = outcome("phase-1");
  ASSERT_EQ(find_array(result, "commands")->size(), 3u) << json::serialize(result);
  EXPECT_EQ(output(first(result)), "refused");
  EXPECT_NE(output(find_array(result, "commands")->at(1).as_object()), "got it");
  EXPECT_EQ(output(find_array(result, "commands")->at(2).as_object()), "on\n");
  ASSERT_TRUE(eventually([&] { return info("phase-1")->ended; }))
      << "without cgroups its processes are found by their uid";
  start(request("run-2", "phase-2"), shell({"echo up; exec sleep 60"}));
  ASSERT_TRUE(eventually([&] { return info("phase-2")->processes >= 3; }));
  await(client().kill("phase-2"));
  EXPECT_TRUE(first(outcome("phase-2")).at("lost").as_bool());
}

}  // namespace
}  // namespace terrane::sandbox
