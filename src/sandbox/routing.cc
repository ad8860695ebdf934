#include "sandbox/routing.h"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <ifaddrs.h>
#include <linux/fib_rules.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/descriptor.h"

namespace terrane::sandbox {

namespace {

struct Rule {
  Cidr to;
  std::uint32_t order = 0;
  std::uint8_t action = FR_ACT_UNREACHABLE;
  std::uint8_t protocol = 0;  ///< any
  std::uint16_t port = 0;     ///< any
};

// One RTM_NEWRULE request, built byte by byte as rtnetlink(7) wants it.
class RuleRequest {
 public:
  explicit RuleRequest(const Rule& rule) {
    nlmsghdr header{};
    header.nlmsg_type = RTM_NEWRULE;
    header.nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL;
    append(&header, sizeof header);
    fib_rule_hdr body{};
    body.family = rule.to.v6 ? AF_INET6 : AF_INET;
    body.dst_len = rule.to.prefix;
    body.action = rule.action;
    body.table = rule.action == FR_ACT_TO_TBL ? RT_TABLE_MAIN : RT_TABLE_UNSPEC;
    append(&body, sizeof body);
    attribute(FRA_PRIORITY, &rule.order, sizeof rule.order);
    if (rule.to.prefix > 0) attribute(FRA_DST, rule.to.address, rule.to.v6 ? 16 : 4);
    if (rule.protocol != 0) attribute(FRA_IP_PROTO, &rule.protocol, sizeof rule.protocol);
    if (rule.port != 0) {
      fib_rule_port_range range{rule.port, rule.port};
      attribute(FRA_DPORT_RANGE, &range, sizeof range);
    }
    auto size = static_cast<std::uint32_t>(bytes_.size());
    std::memcpy(bytes_.data(), &size, sizeof size);  // nlmsg_len stands first
  }
  const std::string& bytes() const { return bytes_; }

 private:
  void append(const void* data, std::size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    bytes_.resize((bytes_.size() + 3) / 4 * 4);
  }
  void attribute(unsigned short type, const void* data, std::size_t size) {
    rtattr header{static_cast<unsigned short>(RTA_LENGTH(size)), type};
    append(&header, sizeof header);
    append(data, size);
  }
  std::string bytes_;
};

void send_rule(int socket, const Rule& rule) {
  RuleRequest request(rule);
  if (send(socket, request.bytes().data(), request.bytes().size(), 0) < 0) fail("Sending a routing rule");
  alignas(nlmsghdr) char answer[4096];
  ssize_t size = recv(socket, answer, sizeof answer, 0);
  if (size < static_cast<ssize_t>(sizeof(nlmsghdr) + sizeof(nlmsgerr)))
    fail("Reading the answer to a routing rule");
  nlmsgerr result;
  std::memcpy(&result, answer + sizeof(nlmsghdr), sizeof result);
  if (result.error == 0 || result.error == -EEXIST) return;
  errno = -result.error;
  fail("Adding a routing rule");
}

}  // namespace

Cidr parse_cidr(const std::string& text) {
  Cidr cidr;
  std::size_t slash = text.find('/');
  std::string address = text.substr(0, slash);
  cidr.v6 = address.find(':') != std::string::npos;
  int longest = cidr.v6 ? 128 : 32;
  std::optional<std::int64_t> prefix =
      slash == std::string::npos ? longest : parse_int(std::string_view(text).substr(slash + 1));
  if (inet_pton(cidr.v6 ? AF_INET6 : AF_INET, address.c_str(), cidr.address) != 1 || !prefix || *prefix < 0 ||
      *prefix > longest) {
    throw Error(Code::unprocessable,
                "'" + text + "' is no range of addresses such as 10.0.0.0/8 or fc00::/7.");
  }
  cidr.prefix = static_cast<std::uint8_t>(*prefix);
  return cidr;
}

std::vector<Cidr> own_addresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) fail("getifaddrs");
  std::vector<Cidr> found;
  for (ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr) continue;
    Cidr cidr;
    if (entry->ifa_addr->sa_family == AF_INET) {
      std::memcpy(cidr.address, &reinterpret_cast<sockaddr_in*>(entry->ifa_addr)->sin_addr, 4);
      cidr.prefix = 32;
      if (cidr.address[0] == 127) continue;
    } else if (entry->ifa_addr->sa_family == AF_INET6) {
      const in6_addr& address = reinterpret_cast<sockaddr_in6*>(entry->ifa_addr)->sin6_addr;
      if (IN6_IS_ADDR_LOOPBACK(&address)) continue;
      std::memcpy(cidr.address, &address, 16);
      cidr.v6 = true;
      cidr.prefix = 128;
    } else {
      continue;
    }
    found.push_back(cidr);
  }
  freeifaddrs(list);
  return found;
}

void restrict_routing(const std::vector<Cidr>& unreachable) {
  Descriptor socket =
      checked(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE), "Opening netlink");
  Cidr resolver = parse_cidr("10.0.2.3/32");
  std::uint32_t order =
      100;  // after the kernel's rule 0 for local addresses, before 32766 for the main table
  send_rule(socket.get(), {resolver, order++, FR_ACT_TO_TBL, IPPROTO_UDP, 53});
  send_rule(socket.get(), {resolver, order++, FR_ACT_TO_TBL, IPPROTO_TCP, 53});
  send_rule(socket.get(), {parse_cidr("10.0.2.0/24"), order++});
  for (const Cidr& cidr : unreachable) send_rule(socket.get(), {cidr, order++});
}

void bring_up_loopback() {
  Descriptor socket = checked(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), "Opening a socket");
  ifreq request{};
  std::strncpy(request.ifr_name, "lo", sizeof request.ifr_name - 1);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (ioctl(socket.get(), SIOCSIFFLAGS, &request) != 0) fail("Bringing up the loopback interface");
}

}  // namespace terrane::sandbox
