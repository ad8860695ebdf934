#include "archivist/logs.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iostream>

#include "archivist/archivist_fixture.h"
#include "redis/subscriber.h"
#include "sealed/log.h"
#include "testing/test_redis.h"

namespace terrane::archivist {
namespace {

using fixture::Process;
using fixture::sample;
using fixture::Stores;
using http::Method;
using object::Access;
using ::testing::HasSubstr;
using testing::run_task;

/// The shim's side of one segment.
class Segment {
 public:
  Segment(Stores& stores, Id<Object> log, int number, std::string workspace = "ws-1", std::string kind = "")
      : log_(std::move(log)),
        number_(number),
        sealer_(key_of(stores), {log_.text(), std::move(kind), std::move(workspace), {{"attempt", "1"}}}, 0) {
    unsent_ = sealer_.begin();
  }
  /// Adds text to what has not been sent.
  Segment& write(std::string_view text) {
    for (std::size_t at = 0; at < text.size(); at += sealed::record_limit)
      unsent_ += sealer_.record(text.substr(at, sealed::record_limit));
    return *this;
  }
  /// Sends it and returns the segment's size.
  Task<std::int64_t> send(Process& process) {
    std::string bytes = std::exchange(unsent_, {});
    std::int64_t position = sent_;
    sent_ += static_cast<std::int64_t>(bytes.size());
    all_ += bytes;
    object::ArchivistClient::Appended appended =
        co_await process.client.append_sealed(log_, number_, position, std::move(bytes));
    if (!appended.taken) throw Error(Code::conflict, "The archivist did not take the bytes.");
    co_return appended.size;
  }
  const std::string& unsent() const { return unsent_; }
  const std::string& all() const { return all_; }

 private:
  static sealed::DataKey key_of(Stores& stores) {
    sealed::DataKey key;
    run_task([&](net::Executor) -> Task<> { key = co_await stores.vault.data_key(transit_key); });
    return key;
  }
  Id<Object> log_;
  int number_;
  sealed::LogSealer sealer_;
  std::string unsent_;
  std::string all_;
  std::int64_t sent_ = 0;
};

Task<std::string> read(Process& process, std::string url, std::size_t offset, std::size_t limit = 65536) {
  Process::Answer answer =
      co_await process.get(url + "?limit=" + std::to_string(limit) + "&offset=" + std::to_string(offset));
  EXPECT_EQ(answer.status, 200);
  co_return answer.body;
}

/// Reads to the end as a client does, in answers of `limit` bytes.
Task<std::string> read_whole(Process& process, std::string url, std::size_t limit = 65536) {
  std::string text;
  while (true) {
    std::string part = co_await read(process, url, text.size(), limit);
    if (part.empty()) co_return text;
    EXPECT_LE(part.size(), limit);
    text += part;
  }
}

std::string append_target(const Id<Object>& log, int segment, std::int64_t position) {
  return "/internal/v1/logs/" + log.text() + "/sealed?segment=" + std::to_string(segment) +
         "&position=" + std::to_string(position);
}

TEST(Logs, AreReadOverSeveralSegmentsByteForByte) {
  Stores stores;
  Id<Object> log = stores.add("log");
  Segment first(stores, log, 1), third(stores, log, 3);
  std::string lines = sample(400'000);
  std::string whole = "\x02" + lines + "\nThe plan is run again.\n" + lines + "\x03";
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    std::string url = stores.url(Access::log, log);
    first.write("\x02").write(lines);
    EXPECT_GT(co_await first.send(process), 400'000);
    co_await process.client.append_text(log, "ws-1", 2, "\nThe plan is run again.\n");
    third.write(lines).write("\x03");
    co_await third.send(process);

    EXPECT_TRUE(co_await read_whole(process, url) == whole);
    EXPECT_TRUE(co_await read_whole(process, url, 1'000'000) == whole);
    for (auto [offset, limit] : std::vector<std::pair<std::size_t, std::size_t>>{{0, 1},
                                                                                 {1, 5},
                                                                                 {399'990, 100},
                                                                                 {400'001, 24},
                                                                                 {400'020, 10},
                                                                                 {65'536, 65'536},
                                                                                 {800'025, 1},
                                                                                 {700'000, 900'000}}) {
      EXPECT_TRUE(co_await read(process, url, offset, limit) == whole.substr(offset, limit))
          << offset << " " << limit;
    }
    EXPECT_EQ((co_await read(process, url, 0)).size(), 65'536U);
    co_await process.stop();
  });
  // A fresh process finds the same.
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    EXPECT_TRUE(co_await read_whole(process, stores.url(Access::log, log), 1'000'000) == whole);
    co_await process.stop();
  });
}

TEST(Logs, AnswerStrangeReadersToo) {
  Stores stores;
  Id<Object> log = stores.add("log");
  Segment segment(stores, log, 1);
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    std::string url = stores.url(Access::log, log);
    EXPECT_EQ(co_await read(process, url, 0), "") << "a log is readable from its creation";
    segment.write("\x02text\x03");
    co_await segment.send(process);
    EXPECT_EQ((co_await process.get(url)).body, "\x02text\x03");
    EXPECT_EQ((co_await process.get(url + "?limit=-1&offset=-7")).body, "\x02text\x03");
    EXPECT_EQ((co_await process.get(url + "?limit=many&offset=1")).body, "text\x03");
    EXPECT_EQ((co_await process.get(url + "?limit=99999999999999999999")).body, "\x02text\x03");
    EXPECT_EQ((co_await process.get(url + "?limit=0")).body, "");
    // Behind ETX nothing follows, so nobody waits.
    net::Clock::time_point begin = net::Clock::now();
    for (std::string_view offset : {"6", "7", "9223372036854775807"}) {
      Process::Answer behind = co_await process.get(url + "?offset=" + std::string(offset));
      EXPECT_EQ(behind.status, 200);
      EXPECT_EQ(behind.body, "");
    }
    EXPECT_LT(net::Clock::now() - begin, std::chrono::milliseconds(400));
    stores.set(log, "status = 'deleted', deleted_at = now()");
    int status = 200;  // a row may be a second old
    for (auto end = net::Clock::now() + std::chrono::seconds(2); status == 200 && net::Clock::now() < end;) {
      status = (co_await process.get(url)).status;
    }
    EXPECT_EQ(status, 404);
    EXPECT_EQ((co_await process.get(stores.url(Access::log, Id<Object>::make()))).status, 404);
    EXPECT_EQ((co_await process.get(stores.url(Access::log, log, std::chrono::minutes(-5)))).status, 404);
    co_await process.stop();
  });
}

TEST(Logs, TakeOnlyWhatFits) {
  Stores stores;
  Id<Object> log = stores.add("log"), other = stores.add("log");
  Id<Object> state = stores.add("state");
  Segment one(stores, log, 1), two(stores, log, 2), foreign(stores, other, 1),
      elsewhere(stores, log, 1, "ws-2");
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    auto append = [&](std::string target, std::string body) {
      return process.call(Method::post, std::move(target), std::move(body));
    };
    EXPECT_EQ((co_await append(append_target(log, 1, 0), foreign.unsent())).status, 422);
    EXPECT_EQ((co_await append(append_target(log, 1, 0), elsewhere.unsent())).status, 422);
    EXPECT_EQ((co_await append(append_target(log, 1, 0), "no header")).status, 422);
    EXPECT_EQ((co_await append(append_target(log, 1, 0), one.unsent().substr(0, 30))).status, 422);
    EXPECT_EQ((co_await append(append_target(state, 1, 0), one.unsent())).status, 404);
    EXPECT_EQ((co_await append(append_target(Id<Object>::make(), 1, 0), one.unsent())).status, 404);
    EXPECT_EQ((co_await append(append_target(log, 0, 0), one.unsent())).status, 400);
    EXPECT_EQ((co_await append(append_target(log, 1001, 0), one.unsent())).status, 400);
    EXPECT_EQ((co_await append(append_target(log, 1, -1), one.unsent())).status, 400);
    EXPECT_EQ((co_await append("/internal/v1/logs/" + log.text() + "/sealed", one.unsent())).status, 400);
    EXPECT_EQ((co_await append(append_target(log, 1, (std::int64_t{4} << 30) + 1), "x")).status, 413);
    EXPECT_EQ((co_await append("/internal/v1/logs/a%2f..%2fb/sealed?segment=1&position=5", "x")).status, 400);
    EXPECT_EQ(stores.blob_count(), 0U);

    Process::Answer gap = co_await append(append_target(log, 1, 500), "bytes");
    EXPECT_EQ(gap.status, 409);
    EXPECT_EQ(gap.body, R"({"size":0})");
    one.write("first ");
    std::int64_t size = co_await one.send(process);
    std::string begin = one.all();
    object::ArchivistClient::Appended repeated = co_await process.client.append_sealed(log, 1, 0, begin);
    EXPECT_TRUE(repeated.taken && repeated.size == size) << "a repetition changes nothing";
    gap = co_await append(append_target(log, 1, size + 1), "bytes");
    EXPECT_EQ(gap.status, 409);
    EXPECT_EQ(gap.body, "{\"size\":" + std::to_string(size) + "}");
    EXPECT_EQ((co_await append(append_target(log, 1, 3), "other bytes")).status, 409);
    EXPECT_EQ((co_await append(append_target(log, 1, 0), "")).body,
              "{\"size\":" + std::to_string(size) + "}");

    two.write("second");
    co_await two.send(process);
    one.write("too late");
    Process::Answer late = co_await append(append_target(log, 1, size), one.unsent());
    EXPECT_EQ(late.status, 409);
    EXPECT_EQ(late.body, "{\"size\":" + std::to_string(size) + "}");
    EXPECT_EQ(co_await read(process, stores.url(Access::log, log), 0), "first second");
    co_await process.stop();
  });
}

TEST(Logs, NeverMoveWhatWasShownWhicheverArchivistIsAsked) {
  Stores stores;
  Id<Object> log = stores.add("log");
  Segment one(stores, log, 1), two(stores, log, 2), four(stores, log, 4);
  run_task([&](net::Executor executor) -> Task<> {
    Process left(executor, stores, "left");
    Process right(executor, stores, "right");
    std::string url = stores.url(Access::log, log);
    one.write("one ");
    std::int64_t size = co_await one.send(left);
    // The left one believes that segment 1 is the last; the right one begins others.
    four.write("four");
    co_await four.send(right);
    EXPECT_EQ(co_await read(left, url, 0), "one four");
    one.write("late");
    EXPECT_EQ((co_await left.call(Method::post, append_target(log, 1, size), one.unsent())).status, 409);
    two.write("two");
    EXPECT_EQ((co_await left.call(Method::post, append_target(log, 2, 0), two.unsent())).status, 409);
    std::optional<Code> code;
    try {
      co_await left.client.append_text(log, "ws-1", 3, "text");
    } catch (const Error& error) {
      code = error.code();
    }
    EXPECT_EQ(code, Code::conflict);
    EXPECT_EQ(co_await read(left, url, 0), "one four");
    EXPECT_EQ(co_await read(right, url, 0), "one four");
    four.write("!");
    co_await four.send(left);
    EXPECT_EQ(co_await read(right, url, 8), "!");
    co_await left.stop();
    co_await right.stop();
  });
}

TEST(Logs, BeginASegmentOnceWhenTwoArchivistsDo) {
  Stores stores;
  std::vector<Id<Object>> logs;
  for (int i = 0; i < 20; ++i) logs.push_back(stores.add("log"));
  run_task([&](net::Executor executor) -> Task<> {
    Process left(executor, stores, "left");
    Process right(executor, stores, "right");
    std::size_t ended = 0;
    std::map<std::string, std::string> expected;
    auto append = [&](Process& process, Id<Object> log, int segment, std::string text) -> Task<> {
      try {
        co_await process.client.append_text(log, "ws-1", segment, text);
        expected[log.text()] += segment == 1 ? "1" : "2";
      } catch (const Error& error) {
        EXPECT_EQ(error.code(), Code::conflict);
      }
      ++ended;
    };
    for (const Id<Object>& log : logs) {
      net::spawn(executor, "append", append(left, log, 1, "1"));
      net::spawn(executor, "append", append(right, log, 2, "2"));
    }
    co_await testing::eventually("all have an answer", [&] { return ended == 2 * logs.size(); });
    for (const Id<Object>& log : logs) {
      std::string text = expected[log.text()];
      std::ranges::sort(text);
      EXPECT_THAT(text, HasSubstr("2"));
      EXPECT_EQ(co_await read(left, stores.url(Access::log, log), 0), text);
      EXPECT_EQ(co_await read(right, stores.url(Access::log, log), 0), text);
    }
    co_await left.stop();
    co_await right.stop();
  });
}

TEST(Texts, MayBeRepeatedWithTheSameTextOnly) {
  Stores stores;
  Id<Object> log = stores.add("log");
  std::string text = sample(200'000);
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    auto append = [&](std::string workspace, int segment, std::string body) {
      return process.call(Method::post,
                          "/internal/v1/logs/" + log.text() + "/text?workspace=" + workspace +
                              "&segment=" + std::to_string(segment),
                          std::move(body));
    };
    EXPECT_EQ((co_await append("ws-2", 1, text)).status, 422);
    EXPECT_EQ((co_await append("ws-1", 1, "")).status, 400);
    EXPECT_EQ((co_await append("ws-1", 1, std::string(1024 * 1024 + 1, 'x'))).status, 413);
    EXPECT_EQ((co_await append("ws-1", 1, text)).status, 200);
    EXPECT_EQ((co_await append("ws-1", 1, text)).status, 200);
    EXPECT_EQ((co_await append("ws-1", 1, text + "x")).status, 409);
    EXPECT_EQ((co_await append("ws-1", 2, "end")).status, 200);
    EXPECT_EQ((co_await append("ws-1", 1, text)).status, 200) << "a repetition after a later segment";
    Segment sealed(stores, log, 2);
    EXPECT_EQ((co_await process.call(Method::post, append_target(log, 2, 0), sealed.unsent())).status, 409);
    EXPECT_TRUE(co_await read_whole(process, stores.url(Access::log, log)) == text + "end");
    co_await process.stop();
  });
}

TEST(Tail, ReachesAWaitingReaderAtOnce) {
  Stores stores;
  Id<Object> log = stores.add("log");
  Segment segment(stores, log, 1);
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    std::string url = stores.url(Access::log, log);
    std::vector<double> delays;
    std::size_t at = 0;
    for (int round = 0; round < 60; ++round) {
      std::string line = "line " + std::to_string(round) + "\n";
      std::optional<net::Clock::time_point> seen;
      std::string got;
      auto tail = [&]() -> Task<> {
        got = co_await read(process, url, at);
        seen = net::Clock::now();
      };
      net::spawn(executor, "tail", tail());
      co_await net::sleep_for(std::chrono::milliseconds(round % 4));
      segment.write(line);
      net::Clock::time_point sent = net::Clock::now();
      co_await segment.send(process);
      co_await testing::eventually("the line is seen", [&] { return seen.has_value(); });
      EXPECT_EQ(got, line);
      delays.push_back(std::chrono::duration<double, std::milli>(*seen - sent).count());
      at += line.size();
    }
    std::ranges::sort(delays);
    std::cout << "append to reader: p50 " << delays[30] << " ms, p95 " << delays[57] << " ms\n";
    EXPECT_LT(delays[30], 40.0) << "with a disk that syncs in a few milliseconds";
    EXPECT_LT(delays[58], 400.0) << "no reader waited for its time to pass";
    co_await process.stop();
  });
}

TEST(Tail, EndsEmptyAfterHalfASecond) {
  Stores stores;
  Id<Object> log = stores.add("log");
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    net::Clock::time_point begin = net::Clock::now();
    EXPECT_EQ(co_await read(process, stores.url(Access::log, log), 0), "");
    auto took = net::Clock::now() - begin;
    EXPECT_GE(took, std::chrono::milliseconds(450));
    EXPECT_LT(took, std::chrono::seconds(3));
    co_await process.stop();
  });
}

TEST(Tail, ManyReadersOfOneLogSeeTheSame) {
  Stores stores;
  Id<Object> log = stores.add("log");
  Segment segment(stores, log, 1);
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    std::string url = stores.url(Access::log, log);
    std::string whole = sample(300'000);
    std::vector<std::string> seen(50);
    std::size_t ended = 0;
    http::ClientOptions options;
    options.connections = 50;
    http::Client many(executor, process.endpoint(), options);
    auto tail = [&](std::string& into) -> Task<> {
      while (into.size() < whole.size()) {
        http::ClientRequest request;
        request.target = url + "?limit=65536&offset=" + std::to_string(into.size());
        http::ClientResponse response = co_await many.send(std::move(request));
        into += co_await response.text();
      }
      ++ended;
    };
    for (std::string& into : seen) net::spawn(executor, "tail", tail(into));
    for (std::size_t at = 0; at < whole.size(); at += 7'000) {
      segment.write(std::string_view(whole).substr(at, 7'000));
      co_await segment.send(process);
    }
    co_await testing::eventually("all have read everything", [&] { return ended == seen.size(); });
    for (const std::string& text : seen) EXPECT_TRUE(text == whole);
    co_await process.stop();
  });
}

TEST(Tail, CrossesArchivistsByRedisAndWithoutIt) {
  Stores stores;
  testing::TestRedis server;
  Id<Object> log = stores.add("log");
  Segment segment(stores, log, 1);
  run_task([&](net::Executor executor) -> Task<> {
    redis::Options options{.unix_path = server.socket()};
    redis::Client publisher(executor, options);
    Process writer(executor, stores, "writer", &publisher);
    Process reader(executor, stores, "reader");
    std::string url = stores.url(Access::log, log);
    std::size_t heard = 0;
    redis::Subscriber subscriber(executor, options, {{}, {Archivist::channels}},
                                 [&](const std::string& channel, const std::string& payload) {
                                   ++heard;
                                   reader.archivist.on_message(channel, payload);
                                 });
    co_await testing::eventually("the subscription is in force", [&] { return heard > 0; });
    std::vector<double> delays;
    std::size_t at = 0;
    auto round = [&]() -> Task<double> {
      std::optional<net::Clock::time_point> seen;
      std::string got;
      auto tail = [&]() -> Task<> {
        while (got.empty()) got = co_await read(reader, url, at);
        seen = net::Clock::now();
      };
      net::spawn(executor, "tail", tail());
      co_await net::sleep_for(std::chrono::milliseconds(10));
      segment.write("a line\n");
      net::Clock::time_point sent = net::Clock::now();
      co_await segment.send(writer);
      co_await testing::eventually("the line is seen", [&] { return seen.has_value(); });
      EXPECT_EQ(got, "a line\n");
      at += got.size();
      co_return std::chrono::duration<double, std::milli>(*seen - sent).count();
    };
    for (int i = 0; i < 20; ++i) delays.push_back(co_await round());
    std::ranges::sort(delays);
    EXPECT_LT(delays[10], 200.0) << "readers of another archivist were told";
    server.kill();
    EXPECT_LT(co_await round(), 3000.0) << "without Redis they find it by themselves";
    co_await writer.stop();
    co_await reader.stop();
  });
}

TEST(Tail, ForgetsReadersThatWentAway) {
  Stores stores;
  Id<Object> log = stores.add("log");
  Id<Object> object = stores.add("state");
  Segment segment(stores, log, 1);
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    for (int i = 0; i < 20; ++i) {
      http::Client brief(executor, process.endpoint());
      auto ask = [&]() -> Task<> {
        http::ClientRequest request;
        request.target = stores.url(Access::log, log);
        co_await brief.send(std::move(request));
      };
      EXPECT_ANY_THROW(co_await net::with_deadline(std::chrono::milliseconds(5), "archivist", ask()));
    }
    fixture::Pattern pattern(4'000'000);
    co_await process.client.put_plain(object, pattern);
    for (int i = 0; i < 5; ++i) {
      http::ClientResponse begun = co_await process.client.get(object);
      std::array<char, 100> piece;
      EXPECT_GT(co_await begun.body->read(piece), 0U);
    }
    segment.write("still there");
    co_await segment.send(process);
    EXPECT_EQ(co_await read(process, stores.url(Access::log, log), 0), "still there");
    co_await process.stop();
  });
}

TEST(Logs, ShowWhatIsWholeOfADamagedOne) {
  Stores stores;
  Id<Object> log = stores.add("log");
  Segment one(stores, log, 1), two(stores, log, 2);
  run_task([&](net::Executor executor) -> Task<> {
    Process process(executor, stores);
    std::string url = stores.url(Access::log, log);
    one.write("first ");
    co_await one.send(process);
    two.write("second ");
    std::int64_t good = co_await two.send(process);
    two.write("third");
    co_await two.send(process);
    std::filesystem::path path = stores.blob_path(segment_name(log.text(), 2));
    std::ifstream file(path);
    std::string bytes{std::istreambuf_iterator<char>(file), {}};
    auto damage = [&](std::size_t at) {
      std::string damaged = bytes;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
      std::ofstream(path, std::ios::trunc) << damaged;
    };
    damage(bytes.size() - 1);
    EXPECT_EQ((co_await process.get(url + "?offset=13")).status, 500) << "a record that does not open";
    EXPECT_EQ(co_await read(process, url, 0, 13), "first second ");
    damage(static_cast<std::size_t>(good));
    Process fresh(executor, stores, "fresh");
    EXPECT_EQ(co_await read(fresh, url, 0), "first second ");
    EXPECT_EQ((co_await fresh.get(url + "?offset=13")).status, 500) << "an impossible length";
    std::ofstream(path, std::ios::trunc) << bytes;
    EXPECT_EQ(co_await read(fresh, url, 13), "third") << "put right again";
    co_await process.stop();
    co_await fresh.stop();
  });
}

}  // namespace
}  // namespace terrane::archivist
