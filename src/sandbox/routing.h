#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace terrane::sandbox {

/// A range of addresses, IPv4 or IPv6.
struct Cidr {
  bool v6 = false;
  std::uint8_t address[16] = {};  ///< network byte order; 4 bytes of IPv4
  std::uint8_t prefix = 0;
};

/// Reads `10.0.0.0/8`, `fc00::/7` or a single address. Throws Error{unprocessable} that names the text.
Cidr parse_cidr(const std::string& text);
/// The addresses of the current network namespace's interfaces but 127.0.0.0/8 and ::1. Throws
/// Error{internal}.
std::vector<Cidr> own_addresses();

/// Adds routing rules to the current network namespace: of slirp4netns' network 10.0.2.0/24 only the resolver
/// (10.0.2.3, port 53) is reached, and nothing in `unreachable`. Rules and not routes: any other port
/// of 10.0.2.3 would lead to that port of the host's resolver, which often is the host. Needs CAP_NET_ADMIN
/// there, throws Error{internal}.
void restrict_routing(const std::vector<Cidr>& unreachable);

/// Brings the loopback interface of the current network namespace up. Throws Error{internal}.
void bring_up_loopback();

}  // namespace terrane::sandbox
