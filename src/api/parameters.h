#pragma once
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "jsonapi/resource.h"

namespace terrane::api {

// The parameters of lists, each read in one way. Parameters that a list does not know are ignored, as API v2
// does; a known one that is wrong is Error{invalid} and names itself.

/// The page a list request asks for: `page[number]` and `page[size]`, of which more than 100 are 100.
jsonapi::Page page(const http::Request& request);

/// A search or filter that is one text; nothing when it is absent or empty. At most 1024 bytes.
std::optional<std::string> text_parameter(const http::Request& request, std::string_view name);

/// A filter that is true or false; nothing when it is absent or empty.
std::optional<bool> bool_parameter(const http::Request& request, std::string_view name);

/// A filter of several values, `a,b` in one parameter; empty ones are left out. At most 100.
std::vector<std::string> list_parameter(const http::Request& request, std::string_view name);

/// What the statements want of such a filter: nothing when it is not there.
std::optional<std::vector<std::string>> opt_list_parameter(const http::Request& request,
                                                           std::string_view name);

/// `sort=key` or `sort=-key`.
struct Sort {
  std::string key;
  bool descending = false;
};
/// The order that a request asks for, else the `usual` one. A key that is not among `keys` is Error{invalid}.
Sort sort(const http::Request& request, std::initializer_list<std::string_view> keys, Sort usual);

/// `filter[tagged][N][key]=…` with `filter[tagged][N][value]=…`; without a value any value matches. At most
/// 20.
struct TagFilter {
  std::string key;
  std::optional<std::string> value;
};
std::vector<TagFilter> tag_filters(const http::Request& request);

}  // namespace terrane::api
