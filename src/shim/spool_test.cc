#include "shim/spool.h"

#include <fstream>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "base/error.h"
#include "sealed/stream.h"
#include "shim/durable.h"
#include "shim/layout.h"
#include "shim/run_files.h"
#include "shim/state_keeper.h"
#include "shim/testing/temporary_directory.h"

namespace terrane::shim {
namespace {

namespace fs = std::filesystem;
using worker_protocol::Ending;
using worker_protocol::Job;
using worker_protocol::Outcome;
using worker_protocol::Slot;

class SpoolTest : public ::testing::Test {
 protected:
  static SpoolMeta meta(const std::string& id = "job-1") {
    Job job;
    job.id = id;
    job.run = "run-1";
    job.workspace = "ws-1";
    job.workspace_name = "prod";
    job.lease = "lease-1";
    job.phase = worker_protocol::Phase::apply;
    job.attempt = 2;
    job.log_object = "obj-log";
    job.log_segment = 3;
    job.state_lineage = "lineage";
    job.state_serial = 7;
    return SpoolMeta::of(job);
  }
  TemporaryDirectory directory_;
  fs::path root_ = directory_.path();
};

TEST_F(SpoolTest, IsFoundAgainAsItWasMade) {
  Spool::create(root_, meta());
  struct stat status{};
  ASSERT_EQ(::stat((root_ / "job-1").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  EXPECT_EQ(Spool::jobs(root_), std::vector<std::string>{"job-1"});
  Spool found = Spool::open(root_ / "job-1");
  EXPECT_EQ(found.meta().lease, "lease-1");
  EXPECT_EQ(found.meta().phase, worker_protocol::Phase::apply);
  EXPECT_EQ(found.meta().log_segment, 3);
  EXPECT_EQ(found.meta().serial, 7);
  EXPECT_EQ(found.meta().lineage, "lineage");
  EXPECT_EQ(found.meta().state_file, "work/terraform.tfstate.d/prod/terraform.tfstate");
  EXPECT_EQ(found.meta().events_file, events_file);
  EXPECT_EQ(found.meta().sandbox_phase(), "job-1-2");
  EXPECT_FALSE(found.started());
  found.mark_started();
  EXPECT_TRUE(found.started());
}

TEST_F(SpoolTest, IsMadeOnceAndNeverHalf) {
  Spool::create(root_, meta());
  EXPECT_THROW(Spool::create(root_, meta()), Error);
  fs::create_directories(root_ / ".new-job-2/states");  // a worker died here
  EXPECT_EQ(Spool::jobs(root_).size(), 1u);
  EXPECT_NO_THROW(Spool::create(root_, meta("job-2")));
}

TEST_F(SpoolTest, WhatAKillLeftHalfIsCleared) {
  Spool::create(root_, meta());
  fs::create_directories(root_ / ".new-job-2/states");
  fs::create_directories(root_ / ".gone-job-3/objects");
  fs::create_directories(root_ / ".refused/job-4");
  Spool::clear_remains(root_);
  EXPECT_FALSE(fs::exists(root_ / ".new-job-2"));
  EXPECT_FALSE(fs::exists(root_ / ".gone-job-3"));
  EXPECT_TRUE(fs::exists(root_ / ".refused/job-4"));
  EXPECT_EQ(Spool::jobs(root_), std::vector<std::string>{"job-1"});
}

TEST_F(SpoolTest, AnIdThatIsAPathIsRefused) {
  for (const char* id : {"", "../x", "a/b", ".hidden"})
    EXPECT_THROW(Spool::create(root_, meta(id)), Error) << id;
  EXPECT_TRUE(fs::is_empty(root_));
}

TEST_F(SpoolTest, ANewerVersionIsLeftAlone) {
  Spool::create(root_, meta());
  std::ofstream(root_ / "job-1/meta.json") << R"({"version":2})";
  EXPECT_THROW(Spool::open(root_ / "job-1"), Error);
}

TEST_F(SpoolTest, KeepsTheResult) {
  Spool spool = Spool::create(root_, meta());
  EXPECT_FALSE(spool.result());
  Outcome outcome;
  outcome.ending = Ending::canceled;
  outcome.additions = 3;
  outcome.import_list = "import {}";
  spool.write_result(outcome);
  std::optional<Outcome> found = Spool::open(root_ / "job-1").result();
  ASSERT_TRUE(found);
  EXPECT_EQ(found->ending, Ending::canceled);
  EXPECT_EQ(found->additions, 3);
  EXPECT_EQ(found->import_list, "import {}");
}

std::string state_text(int serial, const std::string& lineage = "lineage") {
  return R"({"version":4,"serial":)" + std::to_string(serial) + R"(,"lineage":")" + lineage +
         R"(","resources":[{"mode":"managed","type":"t","name":"a","instances":[{"attributes":{"id":"1"}}]}]})";
}

TEST_F(SpoolTest, StatesAreSealedKeptInOrderAndAcknowledged) {
  Spool spool = Spool::create(root_, meta());
  Slot slot{"obj-1", Secret(std::string(32, 'k')), "wrapped"};
  Instances instances;
  for (int serial : {8, 9}) {
    std::ofstream(root_ / "state") << state_text(serial);
    RunFiles files(root_);
    sandbox::Descriptor file = *files.open("state");
    StateFacts facts = *read_state(file.get());
    slot.object = "obj-" + std::to_string(serial);
    ASSERT_TRUE(seal_state(spool, file.get(), facts, slot, true, instances));
  }
  EXPECT_EQ(instances, (Instances{{"t.a", {"1"}}}));
  std::vector<SpooledState> states = Spool::open(root_ / "job-1").states();
  ASSERT_EQ(states.size(), 2u);
  EXPECT_EQ(states[0].state.serial, 8);
  EXPECT_EQ(states[1].state.object, "obj-9");
  EXPECT_EQ(states[1].state.size, static_cast<std::int64_t>(state_text(9).size()));

  std::string sealed = *read_file(states[1].file, 100000);
  EXPECT_EQ(sealed.find("resources"), std::string::npos);
  sealed::Header header = *sealed::parse_header(sealed);
  EXPECT_EQ(header.identity.extra.at("serial"), "9");
  sealed::Opener opener(Secret(std::string(32, 'k')), header, "obj-9", "state", "ws-1");
  std::string plain = opener.update(std::string_view(sealed).substr(header.size()));
  EXPECT_EQ(plain + opener.finish(), state_text(9));

  spool.acknowledge(states[0]);
  EXPECT_EQ(spool.states().size(), 1u);
  EXPECT_EQ(spool.acknowledged()->serial, 8);
  EXPECT_EQ(spool.next_state({}).number, 3u);
}

TEST_F(SpoolTest, AStateThatChangesWhileItIsSealedIsNotKept) {
  Spool spool = Spool::create(root_, meta());
  std::ofstream(root_ / "state") << state_text(8);
  RunFiles files(root_);
  sandbox::Descriptor file = *files.open("state");
  StateFacts facts = *read_state(file.get());
  std::ofstream(root_ / "state") << state_text(9);
  Instances instances;
  EXPECT_FALSE(
      seal_state(spool, file.get(), facts, {"obj-1", Secret(std::string(32, 'k')), "w"}, true, instances));
  EXPECT_TRUE(spool.states().empty());
  EXPECT_TRUE(fs::is_empty(root_ / "job-1/states"));
}

TEST_F(SpoolTest, ASealedFileWithoutItsDocumentIsNothing) {
  Spool spool = Spool::create(root_, meta());
  std::ofstream(root_ / "job-1/states/1.sealed") << "half";
  EXPECT_TRUE(spool.states().empty());
  EXPECT_EQ(spool.next_state({}).number, 2u) << "its name may be half written and is not used again";
}

TEST_F(SpoolTest, WhatIsNotWantedIsSetAsideTwentyTimes) {
  for (int i = 0; i < 23; ++i) Spool::create(root_, meta("job-" + std::to_string(i))).set_aside();
  EXPECT_TRUE(Spool::jobs(root_).empty());
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ / ".refused"), fs::directory_iterator()), 20);
  Spool::create(root_, meta()).remove();
  EXPECT_TRUE(Spool::jobs(root_).empty());
}

std::optional<StateFacts> facts_of(const fs::path& directory, const std::string& text) {
  std::ofstream(directory / "s") << text;
  return read_state(RunFiles(directory).open("s")->get());
}

TEST_F(SpoolTest, OnlyACompleteStateIsOne) {
  std::optional<StateFacts> facts = facts_of(root_, state_text(8));
  ASSERT_TRUE(facts);
  EXPECT_EQ(facts->serial, 8);
  EXPECT_EQ(facts->lineage, "lineage");
  EXPECT_EQ(facts->md5.size(), 32u);
  std::string whole = state_text(8);
  for (std::size_t size = 0; size < whole.size(); ++size)
    ASSERT_FALSE(facts_of(root_, whole.substr(0, size))) << size;
  EXPECT_FALSE(facts_of(root_, R"({"serial":1})"));
  EXPECT_FALSE(facts_of(root_, R"({"lineage":"l"})"));
  EXPECT_FALSE(facts_of(root_, R"({"lineage":"l","serial":-1})"));
  EXPECT_FALSE(facts_of(root_, R"({"lineage":"l","serial":"1"})"));
  EXPECT_FALSE(facts_of(root_, R"({"resources":{"lineage":"l","serial":1}})"));
  EXPECT_FALSE(facts_of(root_, whole + whole));
  EXPECT_TRUE(facts_of(root_, whole + "\n"));
}

TEST_F(SpoolTest, AStateFollowsItsOwnLineageOnly) {
  StateFacts state{"lineage", "md5", 8, 100};
  EXPECT_TRUE(may_follow(state, "", -1));
  EXPECT_TRUE(may_follow(state, "lineage", 8));
  EXPECT_TRUE(may_follow(state, "lineage", 7));
  EXPECT_FALSE(may_follow(state, "lineage", 9));
  EXPECT_FALSE(may_follow(state, "other", 7));
}

TEST_F(SpoolTest, NoNameLeadsOutOfARunDirectory) {
  TemporaryDirectory outside;
  std::ofstream(outside.path() / "secret") << "secret";
  fs::create_directory(root_ / "work");
  fs::create_symlink(outside.path(), root_ / "work/away");
  fs::create_symlink(outside.path() / "secret", root_ / "work/file");
  ASSERT_EQ(::mkfifo((root_ / "work/fifo").c_str(), 0600), 0);
  RunFiles files(root_);
  EXPECT_FALSE(files.read("work/away/secret", 100));
  EXPECT_FALSE(files.read("work/file", 100));
  EXPECT_FALSE(files.read("../" + outside.path().filename().string() + "/secret", 100));
  EXPECT_FALSE(files.open("work/fifo"));
  EXPECT_THROW(files.write("work/away/new", "x"), Error);
  EXPECT_FALSE(fs::exists(outside.path() / "new"));
  files.write("work/file", "mine");
  EXPECT_EQ(files.read("work/file", 100), "mine");
  EXPECT_FALSE(files.read("work/file", 3)) << "larger than asked for";
  EXPECT_EQ(read_file(outside.path() / "secret", 100), "secret");
}

}  // namespace
}  // namespace terrane::shim
