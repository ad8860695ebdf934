#include "shim/relay.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

#include <boost/asio/io_context.hpp>

#include "sandbox/descriptor.h"

namespace terrane::shim {
namespace {

using sandbox::Descriptor;

struct Listener {
  Descriptor socket;
  std::uint16_t port = 0;
};

Listener listen_here() {
  Listener out{Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), 0};
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  EXPECT_EQ(::bind(out.socket.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(out.socket.get(), 128), 0);
  ::getsockname(out.socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  out.port = ntohs(address.sin_port);
  return out;
}

Descriptor connect_to(std::uint16_t port) {
  Descriptor out(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  timeval limit{10, 0};
  ::setsockopt(out.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(::connect(out.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  return out;
}

std::string read_to_end(int socket) {
  std::string text;
  char buffer[4096];
  ssize_t got;
  while ((got = ::read(socket, buffer, sizeof buffer)) > 0)
    text.append(buffer, static_cast<std::size_t>(got));
  return got == 0 ? text : text + " (no end)";
}

class RelayTest : public ::testing::Test {
 protected:
  void start() {
    Platform platform;
    platform.host = "127.0.0.1";
    platform.port = platform_.port;
    start_relay(context_.get_executor(), {::dup(inner_.socket.get())}, platform);
    thread_ = std::thread([this] { context_.run(); });
  }
  void TearDown() override {
    context_.stop();
    if (thread_.joinable()) thread_.join();
  }
  boost::asio::io_context context_{1};
  Listener inner_ = listen_here(), platform_ = listen_here();
  std::thread thread_;
};

TEST_F(RelayTest, CopiesBothWaysAndPassesOnTheEndOfEach) {
  start();
  Descriptor inside = connect_to(inner_.port);
  Descriptor outside(::accept(platform_.socket.get(), nullptr, nullptr));
  ASSERT_TRUE(outside);
  std::string question(300'000, 'q');
  std::thread asker([&] {
    for (std::size_t sent = 0; sent < question.size();) {
      ssize_t wrote = ::write(inside.get(), question.data() + sent, question.size() - sent);
      if (wrote <= 0) break;
      sent += static_cast<std::size_t>(wrote);
    }
    ::shutdown(inside.get(), SHUT_WR);
  });
  EXPECT_EQ(read_to_end(outside.get()), question) << "and the half-closed end arrives";
  asker.join();
  ASSERT_EQ(::write(outside.get(), "answer", 6), 6);
  outside.reset();
  EXPECT_EQ(read_to_end(inside.get()), "answer");
}

TEST_F(RelayTest, ClosesWhatTheSixtyFifthAsksFor) {
  start();
  std::vector<Descriptor> inside, outside;
  for (int i = 0; i < 64; ++i) {
    inside.push_back(connect_to(inner_.port));
    outside.emplace_back(::accept(platform_.socket.get(), nullptr, nullptr));
    ASSERT_TRUE(outside.back());
  }
  EXPECT_EQ(read_to_end(connect_to(inner_.port).get()), "");
  ASSERT_EQ(::write(outside[0].get(), "x", 1), 1);
  outside[0].reset();
  EXPECT_EQ(read_to_end(inside[0].get()), "x") << "the others go on";
}

TEST_F(RelayTest, APlatformThatIsAwayClosesTheConnection) {
  platform_.socket.reset();
  start();
  EXPECT_EQ(read_to_end(connect_to(inner_.port).get()), "");
}

}  // namespace
}  // namespace terrane::shim
