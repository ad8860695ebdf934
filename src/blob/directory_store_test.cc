#include "blob/directory_store.h"

#include <csignal>
#include <fcntl.h>
#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "blob/log_appender.h"
#include "blob/store_test_tools.h"
#include "testing/run.h"

namespace terrane::blob {
namespace {

using terrane::testing::run_task;

std::size_t files_in(const std::filesystem::path& path) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
    count += entry.is_regular_file();
  return count;
}

TEST(DirectoryStore, SweepsWhatDeadWritersLeftAndNothingElse) {
  TemporaryDirectory directory;
  run_task([&](net::Executor executor) -> Task<> {
    DirectoryStore store(executor, directory.path());
    auto writer = co_await store.create("state/x");
    co_await writer->write(pattern(1'000'000));
    std::ofstream(directory.path() / "incoming" / "0123456789abcdef") << "left by a dead writer";
    EXPECT_EQ(files_in(directory.path() / "incoming"), 2u);

    DirectoryStore second(executor, directory.path());
    EXPECT_EQ(files_in(directory.path() / "incoming"), 1u) << "the writer that lives keeps its file";
    co_await writer->commit();
    EXPECT_EQ(files_in(directory.path() / "incoming"), 0u);
    EXPECT_TRUE(co_await read_all(second, "state/x") == pattern(1'000'000));
  });
}

TEST(DirectoryStore, ADroppedWriterLeavesNoFile) {
  TemporaryDirectory directory;
  run_task([&](net::Executor executor) -> Task<> {
    DirectoryStore store(executor, directory.path());
    auto writer = co_await store.create("state/x");
    co_await writer->write(pattern(1'000'000));
    writer.reset();
    EXPECT_EQ(files_in(directory.path()), 0u);
  });
}

TEST(DirectoryStore, WhatIsFinishedHasNoWritePermissionAndNothingIsOpenToOthers) {
  TemporaryDirectory directory;
  run_task([&](net::Executor executor) -> Task<> {
    DirectoryStore store(executor, directory.path());
    co_await put(store, "state/x", "text");
    co_await store.append("log/y", 0, "text");
    auto mode = [&](const char* name) {
      struct stat found{};
      EXPECT_EQ(stat((directory.path() / "objects" / name).c_str(), &found), 0);
      return found.st_mode & 0777u;
    };
    EXPECT_EQ(mode("state/x"), 0440u);
    EXPECT_EQ(mode("log/y") & 0207u, 0200u);
    co_await store.seal_log("log/y");
    EXPECT_EQ(mode("log/y"), 0440u);
    EXPECT_EQ(mode("state") & 0007u, 0u);
  });
}

TEST(DirectoryStore, LogsOutliveTheStore) {
  TemporaryDirectory directory;
  run_task([&](net::Executor executor) -> Task<> {
    {
      co_await DirectoryStore(executor, directory.path()).append("log/a", 0, "hello");
    }
    DirectoryStore store(executor, directory.path());
    EXPECT_EQ(co_await store.log_size("log/a"), 5u);
    EXPECT_EQ(co_await store.append("log/a", 0, "hello world"), 11u);
  });
}

// Appends one log in small pieces, the next when the last is durable.
Task<> append_pieces(Store& store, std::string name, std::string text, std::size_t piece) {
  for (std::size_t position = 0; position < text.size(); position += piece) {
    std::uint64_t size = co_await store.append(name, position, text.substr(position, piece));
    EXPECT_EQ(size, std::min(position + piece, text.size()));
  }
}

// Runs the tasks at once and waits for all.
Task<> all(net::Executor executor, std::vector<Task<>> tasks) {
  std::size_t left = tasks.size();
  net::Event ended(executor);
  std::exception_ptr first;
  for (Task<>& task : tasks) {
    net::spawn(executor, std::move(task), [&](std::exception_ptr failure) {
      if (failure && !first) first = failure;
      --left;
      ended.notify();
    });
  }
  while (left > 0) co_await ended.wait_for(std::chrono::seconds(1));
  if (first) std::rethrow_exception(first);
}

TEST(DirectoryStore, ManyLogsAtOnceStayApart) {
  TemporaryDirectory directory;
  run_task([&](net::Executor executor) -> Task<> {
    DirectoryStore store(executor, directory.path());
    std::vector<Task<>> tasks;
    tasks.reserve(40);
    for (unsigned i = 0; i < 40; ++i)
      tasks.push_back(append_pieces(store, "log/" + std::to_string(i), pattern(3000, i), 100));
    co_await all(executor, std::move(tasks));
    for (unsigned i = 0; i < 40; ++i)
      EXPECT_TRUE(co_await read_all(store, "log/" + std::to_string(i)) == pattern(3000, i)) << i;
  });
}

TEST(DirectoryStore, TwoStoresOnOneDirectoryAppendToTheSameLog) {
  TemporaryDirectory directory;
  run_task([&](net::Executor executor) -> Task<> {
    // Two archivists; a shim that changes over to the other sends again what was not confirmed.
    DirectoryStore left(executor, directory.path());
    DirectoryStore right(executor, directory.path());
    std::string text = pattern(5000);
    for (std::size_t position = 0; position < text.size(); position += 250) {
      Store& store = position % 500 == 0 ? static_cast<Store&>(left) : right;
      std::size_t again = position >= 100 ? 100 : position;
      EXPECT_EQ(co_await store.append("log/a", position - again, text.substr(position - again, 250 + again)),
                position + 250);
      EXPECT_EQ(co_await left.log_size("log/a"), position + 250);
      EXPECT_EQ(co_await right.log_size("log/a"), position + 250);
    }
    std::vector<Task<>> both;
    for (Store* store : {static_cast<Store*>(&left), static_cast<Store*>(&right)}) {
      for (int i = 0; i < 20; ++i)
        both.push_back(put(*store, "state/" + std::to_string(i) + (store == &left ? "l" : "r"), text));
    }
    co_await all(executor, std::move(both));
    EXPECT_EQ(files_in(directory.path() / "objects"), 41u);
    EXPECT_TRUE(co_await read_all(right, "log/a") == text);
  });
}

TEST(LogAppender, OneBatchAnswersEachAppendForItself) {
  TemporaryDirectory directory;
  Folder folder(directory.path());
  std::vector<Append> batch;
  batch.reserve(40);
  for (int i = 0; i < 30; ++i) batch.push_back({"log/" + std::to_string(i), 0, "first"});
  batch.push_back({"log/3", 5, " second"});
  batch.push_back({"log/3", 5, " SECOND"});
  batch.push_back({"log/3", 13, "gap"});
  batch.push_back({"log/3", 12, "!"});
  batch.push_back({"log/missing", 1, "x"});
  append_all(folder, 0, batch);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(batch[static_cast<std::size_t>(i)].size, 5u);
  EXPECT_EQ(batch[30].size, 12u);
  EXPECT_TRUE(batch[31].failure);
  EXPECT_TRUE(batch[32].failure);
  EXPECT_EQ(batch[33].size, 13u);
  EXPECT_TRUE(batch[34].failure);
  EXPECT_EQ(folder.size("log/3"), 13u);
  EXPECT_EQ(folder.size("log/missing"), std::nullopt);
}

TEST(DirectoryStore, TheReserveCountsAsFull) {
  TemporaryDirectory directory;
  run_task([&](net::Executor executor) -> Task<> {
    DirectoryStore store(executor, directory.path());
    co_await store.append("log/a", 0, "hello");
    DirectoryStore full(executor, directory.path(), {.reserve = std::uint64_t{1} << 62});
    try {
      co_await full.create("state/x");
      ADD_FAILURE();
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
      EXPECT_THAT(error.detail(), ::testing::MatchesRegex("The disk .* is full\\."));
    }
    EXPECT_EQ(co_await failure(full.append("log/a", 5, "x")), Code::unavailable);
    EXPECT_EQ(co_await full.append("log/a", 0, "hello"), 5u) << "what is there needs no space";
    EXPECT_EQ(co_await read_all(full, "log/a"), "hello");
  });
}

// Starts one test of this program in a process of its own: in a forked child the pool of net::blocking would
// have no threads.
pid_t start_child(const std::string& filter, const std::filesystem::path& directory, int output) {
  std::string path = directory.string();
  pid_t child = fork();
  if (child == 0) {
    setenv("TERRANE_BLOB_TEST_DIRECTORY", path.c_str(), 1);
    if (output >= 0) dup2(output, 3);
    std::string argument = "--gtest_filter=" + filter;
    execl("/proc/self/exe", "blob_test", argument.c_str(), "--gtest_also_run_disabled_tests",
          "--gtest_brief=1", nullptr);
    _exit(127);
  }
  return child;
}

const char* child_directory() { return getenv("TERRANE_BLOB_TEST_DIRECTORY"); }

// Started by FullDisk below in a mount namespace of its own.
TEST(DirectoryStoreChild, DISABLED_FullDisk) {
  if (!child_directory()) GTEST_SKIP() << "the parent test starts this";
  std::filesystem::path directory = child_directory();
  if (unshare(CLONE_NEWNS) != 0 || mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
      mount("tmpfs", directory.c_str(), "tmpfs", 0, "size=2m") != 0) {
    _exit(77);
  }
  run_task([&](net::Executor executor) -> Task<> {
    DirectoryStore store(executor, directory);
    co_await store.append("log/a", 0, "hello");
    {
      auto writer = co_await store.create("state/large");
      std::string part = pattern(1024 * 1024);
      co_await writer->write(part);
      EXPECT_EQ(co_await failure(writer->write(part)), Code::unavailable);
      EXPECT_EQ(co_await failure(writer->commit()), Code::internal) << "what is not whole is not committed";
      try {
        co_await store.append("log/a", 5, pattern(2 * 1024 * 1024));
        ADD_FAILURE();
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::unavailable);
        EXPECT_THAT(error.detail(), ::testing::MatchesRegex("The disk .* is full\\."));
      }
      EXPECT_EQ(co_await store.log_size("log/a"), 5u);
    }
    // With the writer gone there is space again, and all goes on.
    EXPECT_EQ(co_await store.size("state/large"), std::nullopt);
    EXPECT_EQ(co_await store.append("log/a", 5, " world"), 11u);
    co_await put(store, "state/small", pattern(1024 * 1024));
    EXPECT_EQ(co_await read_all(store, "log/a"), "hello world");
  });
}

TEST(DirectoryStore, AFullDiskIsSaidAndHarmsNothing) {
  TemporaryDirectory directory;
  int status = 0;
  pid_t child = start_child("DirectoryStoreChild.DISABLED_FullDisk", directory.path(), -1);
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "this machine does not let us mount a small file system";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(DirectoryStore, AWriteThatFailsInTheMiddleIsCutOff) {
  TemporaryDirectory directory;
  Folder folder(directory.path());
  std::vector<Append> begin{{"log/a", 0, "hello"}};
  append_all(folder, 0, begin);
  // A limit on the size of files ends the write after a part of it.
  rlimit before{};
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit small{1000, before.rlim_max};
  auto handler = std::signal(SIGXFSZ, SIG_IGN);
  setrlimit(RLIMIT_FSIZE, &small);
  std::vector<Append> batch{{"log/a", 5, "fits"}, {"log/a", 9, pattern(5000)}, {"log/b", 0, "another log"}};
  append_all(folder, 0, batch);
  setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  for (std::size_t i : {0u, 1u}) {
    ASSERT_TRUE(batch[i].failure);
    try {
      std::rethrow_exception(batch[i].failure);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), Code::unavailable);
      EXPECT_THAT(error.context(), ::testing::HasSubstr("errno 27"));
    }
  }
  EXPECT_FALSE(batch[2].failure);
  EXPECT_EQ(folder.size("log/a"), 5u);
  append_all(folder, 0, batch = {{"log/a", 5, "fits"}});
  EXPECT_EQ(batch[0].size, 9u);
}

// Writes until it is killed, and says on descriptor 3 what was acknowledged: one byte an object, one byte an
// append.
TEST(DirectoryStoreChild, DISABLED_WritesUntilKilled) {
  if (!child_directory()) GTEST_SKIP() << "the parent test starts this";
  run_task(
      [&](net::Executor executor) -> Task<> {
        DirectoryStore store(executor, child_directory());
        for (unsigned i = 0;; ++i) {
          co_await put(store, "state/" + std::to_string(i), pattern(700'000, i));
          if (write(3, "o", 1) != 1) co_return;
          co_await store.append("log/a", i * 1000, pattern(1000, i));
          if (write(3, "a", 1) != 1) co_return;
        }
      },
      std::chrono::seconds(60));
}

TEST(DirectoryStore, KillLeavesEverythingAcknowledgedAndNoPartialObject) {
  TemporaryDirectory directory;
  std::size_t objects = 0;
  std::size_t appends = 0;
  for (int round = 0; round < 3; ++round) {
    std::filesystem::remove_all(directory.path() / "objects");
    objects = appends = 0;
    int pipe_ends[2];
    ASSERT_EQ(pipe2(pipe_ends, O_CLOEXEC), 0);
    pid_t child =
        start_child("DirectoryStoreChild.DISABLED_WritesUntilKilled", directory.path(), pipe_ends[1]);
    close(pipe_ends[1]);
    char acknowledged = 0;
    auto count = [&] { (acknowledged == 'o' ? objects : appends) += 1; };
    while (objects < 5 + static_cast<std::size_t>(round) && read(pipe_ends[0], &acknowledged, 1) == 1)
      count();
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "it must be killed in the middle, not end by itself";
    while (read(pipe_ends[0], &acknowledged, 1) == 1) count();
    close(pipe_ends[0]);

    run_task([&](net::Executor executor) -> Task<> {
      DirectoryStore store(executor, directory.path());
      EXPECT_EQ(files_in(directory.path() / "incoming"), 0u);
      std::size_t visible = files_in(directory.path() / "objects" / "state");
      EXPECT_GE(visible, objects);
      for (unsigned i = 0; i < visible; ++i) {
        EXPECT_TRUE(co_await read_all(store, "state/" + std::to_string(i)) == pattern(700'000, i)) << i;
      }
      std::string log = co_await read_all(store, "log/a");
      EXPECT_GE(log.size(), appends * 1000);
      for (unsigned i = 0; i < log.size() / 1000; ++i)
        EXPECT_TRUE(log.substr(i * 1000, 1000) == pattern(1000, i)) << i;
    });
  }
}

TEST(DirectoryStore, ADirectoryThatCannotBeUsedIsSaid) {
  TemporaryDirectory directory;
  std::ofstream(directory.path() / "file") << "no directory";
  run_task([&](net::Executor executor) -> Task<> {
    EXPECT_THROW(DirectoryStore(executor, directory.path() / "file"), Error);
    co_return;
  });
}

}  // namespace
}  // namespace terrane::blob
