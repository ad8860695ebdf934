#include <cstring>
#include <grp.h>
#include <sys/un.h>

#include "sandbox/broker_protocol.h"
#include "sandbox/run_directory.h"
#include "sandbox/testing/fixture.h"

namespace terrane::sandbox {
namespace {

constexpr const char* until_interrupted =
    "trap 'echo kept > kept; exit 0' INT; echo up > up; while :; do sleep 0.05; done";
// Writes without pause, so that it would die by SIGPIPE at once if nobody read.
constexpr const char* talker =
    "$SIG{INT} = sub { $stop = 1 }; open(U, \">up\"); close U; $| = 1; while (!$stop) { print \"x\" x 1000 }"
    "for (1..500) { print \"y\" x 1000 } open(F, \">kept\"); print F \"written $!\"; close F;";

TEST(RunDirectory, ReadsMountsWithTheirUids) {
  std::vector<TmpfsMount> mounts = parse_tmpfs_mounts(
      "36 35 0:31 / /data\\040dir/run/runs/run-1 rw,nosuid - tmpfs terrane-run "
      "rw,size=64k,uid=2000000007,gid=2000000007\n"
      "37 35 8:1 / /other rw - ext4 /dev/sda1 rw,uid=5\n38 35 0:32 / /dev/shm rw - tmpfs tmpfs rw\nbroken\n");
  ASSERT_EQ(mounts.size(), 2u);
  EXPECT_EQ(mounts[0].path, "/data dir/run/runs/run-1");
  EXPECT_EQ(mounts[0].uid, 2000000007u);
  EXPECT_FALSE(mounts[1].uid.has_value());
}

TEST(BrokerProtocol, RefusesWhatIsNotAllowed) {
  PhaseRequest good = {.run = "run-1", .phase = "phase_2", .spool = "/spool"};
  EXPECT_EQ(parse_phase_request(to_json(good)).phase, "phase_2");
  auto with = [&good](std::string_view key, json::value value) {
    json::object object = to_json(good);
    object[key] = std::move(value);
    return object;
  };
  for (const json::object& bad :
       {with("run", ""), with("run", "../x"), with("run", ".phases"), with("run", "a/b"),
        with("phase", json::string(65, 'a')), with("phase", 7), with("memory_bytes", 1),
        with("memory_bytes", -1), with("cpus", -1), with("cpus", "two"), with("processes", 0),
        with("tmpfs_bytes", 1e30), with("hostname", "a\nb"), with("hostname", "no-port"),
        with("relay_port", 65536), with("grace", 3601), with("spool", nullptr)}) {
    EXPECT_THROW(parse_phase_request(bad), Error) << json::serialize(bad);
  }
}

class BrokerTest : public SandboxTest {
 protected:
  void SetUp() override {
    SandboxTest::SetUp();
    if (!IsSkipped() && !HasFatalFailure()) start_broker();
  }

  StartedShim start_waiting(const PhaseRequest& wanted, const std::string& script) {
    StartedShim shim = start(wanted, shell({script}));
    EXPECT_TRUE(eventually([&] { return std::filesystem::exists(shim.run_directory / "work/up"); }))
        << "the command did not start";
    return shim;
  }

  static std::optional<uid_t> owner(const std::filesystem::path& path) {
    struct stat status{};
    return stat(path.c_str(), &status) == 0 ? std::optional<uid_t>(status.st_uid) : std::nullopt;
  }

  Code refused(Task<> task) {
    try {
      await(std::move(task));
    } catch (const Error& error) {
      return error.code();
    }
    ADD_FAILURE() << "was not refused";
    return Code::internal;
  }

  // What the broker says to a client with this uid: the error's code, or nothing.
  std::optional<Code> asked_by(uid_t uid) {
    Pair result = make_pipe();
    pid_t child = fork();
    if (child == 0) {
      if (setgroups(0, nullptr) != 0 || setresgid(uid, uid, uid) != 0 || setresuid(uid, uid, uid) != 0)
        _exit(1);
      char code = 100;
      try {
        await(client().list());
      } catch (const Error& error) {
        code = static_cast<char>(error.code());
      }
      if (write(result.second.get(), &code, 1) != 1) _exit(1);
      _exit(0);
    }
    waitpid(child, nullptr, 0);
    char code = 100;
    result.second.reset();
    EXPECT_EQ(read(result.first.get(), &code, 1), 1);
    return code == 100 ? std::nullopt : std::optional<Code>(static_cast<Code>(code));
  }
};

TEST_F(BrokerTest, ServesTheWorkerOnly) {
  EXPECT_EQ(asked_by(worker), std::nullopt);
  EXPECT_EQ(asked_by(worker + 1), Code::unavailable) << "the socket's permissions";
  chmod(socket().c_str(), 0666);
  EXPECT_EQ(asked_by(worker + 1), Code::forbidden) << "and who the peer is";
  EXPECT_EQ(asked_by(first_uid()), Code::forbidden);
}

TEST_F(BrokerTest, GarbageDoesNotHurt) {
  for (const std::string& text : {std::string("{"), std::string("[]"), std::string("{\"version\":1}"),
                                  std::string("{\"version\":9,\"verb\":\"list\"}"),
                                  std::string("{\"version\":1,\"verb\":\"start\",\"job\":true}"),
                                  std::string(20000, 'x'), std::string("\0\xff", 2)}) {
    Descriptor connection(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, socket().c_str(), sizeof address.sun_path - 1);
    ASSERT_EQ(connect(connection.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    ASSERT_TRUE(send_message(connection.get(), text));
    std::optional<Message> answer = receive_message(connection.get(), most_broker_answer);
    if (answer) {
      EXPECT_NE(answer->bytes.find("\"error\""), std::string::npos) << answer->bytes;
    }
  }
  EXPECT_TRUE(answers());
}

TEST_F(BrokerTest, ShimAndSandboxHaveTheirOwnUsers) {
  StartedShim shim = start_waiting(request("run-1", "phase-1"), until_interrupted);
  std::string status = read_small_file("/proc/" + std::to_string(shim.pid) + "/status").value_or("");
  std::string uid = std::to_string(worker);
  EXPECT_NE(status.find("Uid:\t" + uid + "\t" + uid + "\t" + uid), std::string::npos) << status;
  EXPECT_NE(status.find("CapEff:\t0000000000000000"), std::string::npos) << status;
  uid_t run = owner(shim.run_directory).value_or(0);
  EXPECT_GE(run, first_uid());
  EXPECT_GE(processes_by_uid()[run], 3u) << "bubblewrap, pid 1 and the shell";
  std::optional<PhaseInfo> phase = info("phase-1");
  EXPECT_TRUE(phase->shim_alive);
  EXPECT_FALSE(phase->ended);
  EXPECT_GE(phase->processes, 3u);
}

TEST_F(BrokerTest, WhenTheShimDiesTheCommandIsInterruptedAndItsWorkKept) {
  StartedShim shim = start_waiting(request("run-1", "phase-1"), until_interrupted);
  kill(shim.pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(shim.run_directory / "work/kept"); }));
  EXPECT_TRUE(eventually([&] { return info("phase-1")->ended; }));
  EXPECT_EQ(info("phase-1")->processes, 0u);
}

TEST_F(BrokerTest, WhenTheShimDiesACommandThatWritesDoesNotDieOfIt) {
  json::object job = {{"commands", {{{"argv", {"/usr/bin/perl", "-e", talker}}}}}};
  StartedShim shim = start(request("run-1", "phase-1"), job);
  ASSERT_TRUE(eventually([&] { return std::filesystem::exists(shim.run_directory / "work/up"); }));
  kill(shim.pid, SIGKILL);
  EXPECT_TRUE(eventually(
      [&] { return read_small_file(shim.run_directory / "work/kept").value_or("").starts_with("written"); }));
  EXPECT_TRUE(eventually([&] { return info("phase-1")->ended; }));
}

TEST_F(BrokerTest, WhenTheShimDiesTheGraceIsKeptAndThenAllIsKilled) {
  PhaseRequest wanted = request("run-1", "phase-1");
  wanted.grace = std::chrono::seconds(2);
  StartedShim shim =
      start_waiting(wanted, "trap 'echo asked > asked' INT; echo up > up; while :; do sleep 0.05; done");
  kill(shim.pid, SIGKILL);
  auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(eventually([&] { return std::filesystem::exists(shim.run_directory / "work/asked"); }));
  uid_t uid = owner(shim.run_directory).value_or(0);
  EXPECT_TRUE(eventually([&] { return !processes_by_uid().contains(uid); }));
  auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_GT(took, std::chrono::milliseconds(1800));
  EXPECT_LT(took, std::chrono::seconds(5));
}

TEST_F(BrokerTest, ItsOwnDeathAndRestartAreNotNoticed) {
  StartedShim shim = start_waiting(request("run-1", "phase-1"), until_interrupted);
  uid_t uid = owner(shim.run_directory).value_or(0);
  stop_broker(SIGKILL);
  start_broker();
  std::optional<PhaseInfo> phase = info("phase-1");
  ASSERT_TRUE(phase.has_value());
  EXPECT_TRUE(phase->shim_alive);
  EXPECT_EQ(phase->shim, shim.pid);
  EXPECT_EQ(phase->run, "run-1");
  EXPECT_GE(phase->processes, 3u);
  EXPECT_EQ(refused(client().release("run-1")), Code::conflict);
  StartedShim other = start_waiting(request("run-2", "phase-2"), until_interrupted);
  EXPECT_NE(owner(other.run_directory), uid) << "a uid in use is not given again";
  kill(shim.pid, SIGKILL);
  EXPECT_TRUE(eventually([&] { return info("phase-1")->ended; }))
      << "a shim of an earlier broker is seen to end";
  EXPECT_TRUE(std::filesystem::exists(shim.run_directory / "work/kept"));
}

TEST_F(BrokerTest, LeftoversOfADeadPhaseAreKilledAfterARestart) {
  PhaseRequest wanted = request("run-1", "phase-1");
  wanted.grace = std::chrono::seconds(0);
  StartedShim shim = start_waiting(wanted, until_interrupted);
  uid_t uid = owner(shim.run_directory).value_or(0);
  stop_broker(SIGKILL);
  // A sandbox that cannot act for itself: stopped as a whole, from outside.
  for (const std::filesystem::path& cgroup :
       Cgroups(installation_).of(Cgroups(installation_).names().at(0)).run)
    write_to(cgroup / "cgroup.freeze", "1");
  kill(shim.pid, SIGKILL);
  EXPECT_TRUE(processes_by_uid().contains(uid));
  start_broker();
  EXPECT_TRUE(eventually([&] { return info("phase-1")->ended; }));
  EXPECT_FALSE(processes_by_uid().contains(uid));
}

TEST_F(BrokerTest, ARunKeepsItsDirectoryFromPhaseToPhase) {
  StartedShim shim = start(request("run-1", "phase-1"), shell({"echo planned > plan"}));
  outcome("phase-1");
  ASSERT_TRUE(eventually([&] { return info("phase-1")->ended; }));
  uid_t uid = owner(shim.run_directory).value_or(0);
  start(request("run-1", "phase-2"), shell({"cat plan; id -u"}));
  EXPECT_EQ(output(first(outcome("phase-2"))), "planned\n" + std::to_string(uid) + "\n");
  ASSERT_TRUE(eventually([&] { return info("phase-2")->ended; }));
  await(client().release("run-1"));
  EXPECT_FALSE(std::filesystem::exists(shim.run_directory));
  EXPECT_FALSE(info("phase-1").has_value());
  await(client().release("run-1"));
}

TEST_F(BrokerTest, RefusesASecondPhaseAtATimeAndAKnownName) {
  start_waiting(request("run-1", "phase-1"), until_interrupted);
  EXPECT_THROW(start(request("run-1", "phase-2"), shell({"true"})), Error);
  try {
    start(request("run-2", "phase-1"), shell({"true"}));
    ADD_FAILURE() << "was not refused";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::conflict);
  }
  EXPECT_EQ(list().size(), 1u);
}

TEST_F(BrokerTest, AdoptedFilesAreTheWorkersAndLinksAreNotFollowed) {
  std::ofstream(directory_ / "outside") << "of root";
  StartedShim shim =
      start_waiting(request("run-1", "phase-1"), "umask 077; mkdir deep; echo state > deep/state; ln -s " +
                                                     (directory_ / "outside").string() +
                                                     " link; chmod 0 deep; " + until_interrupted);
  EXPECT_EQ(refused([](BrokerClient broker) -> Task<> { co_await broker.adopt("run-1"); }(client())),
            Code::conflict);
  kill(shim.pid, SIGKILL);
  ASSERT_TRUE(eventually([&] { return info("phase-1")->ended; }));
  EXPECT_EQ(await(client().adopt("run-1")), shim.run_directory);
  EXPECT_EQ(owner(shim.run_directory), worker);
  EXPECT_EQ(owner(shim.run_directory / "work/deep/state"), worker);
  EXPECT_EQ(owner(directory_ / "outside"), 0u);
  EXPECT_THROW(start(request("run-1", "phase-2"), shell({"true"})), Error) << "it is no run's any more";
  await(client().release("run-1"));
  EXPECT_EQ(refused([](BrokerClient broker) -> Task<> { co_await broker.adopt("run-1"); }(client())),
            Code::not_found);
}

TEST_F(BrokerTest, KillsASandboxThatIgnoresEverything) {
  StartedShim shim = start_waiting(request("run-1", "phase-1"),
                                   "trap '' INT TERM; echo up > up; while :; do sleep 0.05; done");
  await(client().kill("phase-1"));
  uid_t uid = owner(shim.run_directory).value_or(0);
  EXPECT_FALSE(processes_by_uid().contains(uid));
  EXPECT_TRUE(first(outcome("phase-1")).at("lost").as_bool());
  EXPECT_EQ(refused(client().kill("phase-none")), Code::not_found);
}

TEST_F(BrokerTest, AShimThatCannotStartLeavesNothing) {
  stop_broker(SIGTERM);
  options_["binary"] = (directory_ / "none").string();
  start_broker();
  try {
    start(request("run-1", "phase-1"), shell({"true"}));
    ADD_FAILURE() << "was not refused";
  } catch (const Error& error) {
    EXPECT_NE(error.detail().find("exec of"), std::string::npos) << error.detail();
  }
  EXPECT_TRUE(eventually([&] { return list().empty() && Cgroups(installation_).names().empty(); }));
  await(client().release("run-1"));
  EXPECT_FALSE(std::filesystem::exists(directory_ / "run/runs/run-1"));
}

TEST_F(BrokerTest, TheRootHasOneBroker) {
  json::object second = options_;
  second["socket"] = (directory_ / "second.sock").string();
  std::string text = json::serialize(second);
  pid_t child = fork();
  if (child == 0) {
    execl(SANDBOX_PROGRAM, SANDBOX_PROGRAM, "broker", text.c_str(), nullptr);
    _exit(127);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  EXPECT_TRUE(answers());
}

TEST_F(BrokerTest, EndsInOrderAndLeavesPhasesAlone) {
  StartedShim shim = start_waiting(request("run-1", "phase-1"), until_interrupted);
  EXPECT_EQ(stop_broker(SIGTERM), 0);
  EXPECT_FALSE(std::filesystem::exists(socket()));
  EXPECT_NE(start_time_of(shim.pid), 0u);
  start_broker();
}

}  // namespace
}  // namespace terrane::sandbox
