#pragma once
#include <string>
#include <vector>

#include "api/api.h"
#include "base/time.h"
#include "http/router.h"

namespace terrane::installation {

/// The addresses from which this machine reaches others, and at which it can be reached, as CIDR ranges of
/// one address each: those of interfaces that are up, without link-local ones; loopback ones only when there
/// are no others.
std::vector<std::string> own_addresses();

/// Reads the date of an HTTP header (`Mon, 02 Jan 2006 15:04:05 GMT`); nothing on anything else.
std::optional<Time> parse_http_date(const std::string& text);
std::string http_date(Time time);

/// The endpoint from which firewalls learn the platform's addresses. It must outlive the router.
class IpRangesApi {
 public:
  void add_routes(http::Router& router);

 private:
  Task<http::Response> show(http::Request& request);

  std::vector<std::string> addresses_;
  Time changed_at_;
};

}  // namespace terrane::installation
