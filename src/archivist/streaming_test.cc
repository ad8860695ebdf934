#include <fstream>
#include <gtest/gtest.h>

#include "archivist/archivist_fixture.h"

namespace terrane::archivist {
namespace {

using fixture::Pattern;
using fixture::Process;
using fixture::Stores;
using object::Access;
using testing::run_task;

/// The largest resident size of this process since `forget_peak`, in KiB.
std::size_t peak() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::stoul(line.substr(6));
  }
  throw std::runtime_error("no VmHWM");
}

void forget_peak() { std::ofstream("/proc/self/clear_refs") << "5"; }

TEST(Streaming, OfLargeObjectsTakesConstantMemory) {
  constexpr std::uint64_t size = 200ULL * 1024 * 1024;
  Stores stores;
  Id<Object> id = stores.add("state");
  run_task(
      [&](net::Executor executor) -> Task<> {
        Process process(executor, stores);
        Id<Object> small = stores.add("state");
        Pattern little(1'000'000);
        co_await process.client.put_plain(small, little);
        forget_peak();
        const std::size_t before = peak();

        Pattern pattern(size);
        http::ClientRequest put;
        put.method = http::Method::put;
        put.target = stores.url(Access::write, id);
        put.stream = &pattern;
        put.header_time = std::chrono::minutes(1);
        http::ClientResponse stored = co_await process.raw.send(std::move(put));
        std::string answer = co_await stored.text();
        const std::string expected = pattern.md5();
        EXPECT_EQ(answer, "{\"size\":" + std::to_string(size) + ",\"md5\":\"" + expected + "\"}");
        EXPECT_LT(peak() - before, 24U * 1024) << "upload";

        http::ClientRequest get;
        get.target = stores.url(Access::read, id);
        http::ClientResponse response = co_await process.raw.send(std::move(get));
        EXPECT_EQ(response.content_length, size);
        crypto::Hasher hasher(crypto::HashKind::md5);
        auto piece = std::make_unique<char[]>(64 * 1024);
        while (std::size_t count = co_await response.body->read({piece.get(), 64 * 1024}))
          hasher.update({piece.get(), count});
        EXPECT_EQ(hex(hasher.finish()), expected);
        EXPECT_LT(peak() - before, 24U * 1024) << "download";

        // A repetition reads what comes and compares its digest.
        Pattern again(size);
        http::ClientRequest repeated;
        repeated.method = http::Method::put;
        repeated.target = stores.url(Access::write, id);
        repeated.stream = &again;
        repeated.header_time = std::chrono::minutes(1);
        http::ClientResponse second = co_await process.raw.send(std::move(repeated));
        EXPECT_EQ(co_await second.text(), answer);
        EXPECT_LT(peak() - before, 24U * 1024) << "repetition";
        co_await process.stop();
      },
      std::chrono::seconds(110));
}

}  // namespace
}  // namespace terrane::archivist
