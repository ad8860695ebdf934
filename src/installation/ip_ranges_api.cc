#include "installation/ip_ranges_api.h"

#include <algorithm>
#include <arpa/inet.h>
#include <ctime>
#include <ifaddrs.h>
#include <memory>
#include <net/if.h>
#include <netinet/in.h>

namespace terrane::installation {
namespace {

struct Address {
  std::string range;
  bool is_loopback = false;
};

std::optional<Address> read(const ifaddrs& entry) {
  if (!entry.ifa_addr || !(entry.ifa_flags & IFF_UP)) return std::nullopt;
  char text[INET6_ADDRSTRLEN];
  const bool is_loopback = entry.ifa_flags & IFF_LOOPBACK;
  if (entry.ifa_addr->sa_family == AF_INET) {
    const in_addr& address = reinterpret_cast<const sockaddr_in*>(entry.ifa_addr)->sin_addr;
    if (!inet_ntop(AF_INET, &address, text, sizeof text)) return std::nullopt;
    if (std::string_view(text).starts_with("169.254.")) return std::nullopt;
    return Address{std::string(text) + "/32", is_loopback};
  }
  if (entry.ifa_addr->sa_family != AF_INET6) return std::nullopt;
  const in6_addr& address = reinterpret_cast<const sockaddr_in6*>(entry.ifa_addr)->sin6_addr;
  if (IN6_IS_ADDR_LINKLOCAL(&address) || !inet_ntop(AF_INET6, &address, text, sizeof text))
    return std::nullopt;
  return Address{std::string(text) + "/128", is_loopback};
}

}  // namespace

std::vector<std::string> own_addresses() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) throw Error(Code::unavailable, "The machine's addresses cannot be read.");
  const std::unique_ptr<ifaddrs, decltype(&freeifaddrs)> owner(list, freeifaddrs);
  std::vector<std::string> outside, loopback;
  for (const ifaddrs* entry = list; entry; entry = entry->ifa_next) {
    std::optional<Address> address = read(*entry);
    if (address) (address->is_loopback ? loopback : outside).push_back(std::move(address->range));
  }
  std::vector<std::string>& found = outside.empty() ? loopback : outside;
  std::ranges::sort(found);
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::optional<Time> parse_http_date(const std::string& text) {
  std::tm parts{};
  const char* end = strptime(text.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &parts);
  if (!end || *end != '\0') return std::nullopt;
  return Time(std::chrono::seconds(timegm(&parts)));
}

std::string http_date(Time time) {
  const std::time_t seconds = std::chrono::floor<std::chrono::seconds>(time).time_since_epoch().count();
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const std::size_t length = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return std::string(text, length);
}

void IpRangesApi::add_routes(http::Router& router) {
  router.add({http::Method::get, "/api/meta/ip-ranges", api::bind<&IpRangesApi::show>(this)});
}

/// One machine does everything, so every kind of connection has the same addresses.
Task<http::Response> IpRangesApi::show(http::Request& request) {
  std::vector<std::string> found = own_addresses();
  if (found != addresses_) {
    addresses_ = std::move(found);
    changed_at_ = now();
  }
  http::Response response;
  response.headers.set("Last-Modified", http_date(changed_at_));
  std::optional<std::string_view> since = request.headers.find("If-Modified-Since");
  std::optional<Time> known = since ? parse_http_date(std::string(*since)) : std::nullopt;
  if (known && *known >= std::chrono::floor<std::chrono::seconds>(changed_at_)) {
    response.status = 304;
    co_return response;
  }
  const json::value ranges = json::value_from(addresses_);
  response.headers.set("Content-Type", "application/json");
  response.body = json::serialize(
      json::object{{"api", ranges}, {"notifications", ranges}, {"sentinel", ranges}, {"vcs", ranges}});
  co_return response;
}

}  // namespace terrane::installation
