#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"

namespace terrane::http {

/// What an endpoint takes and gives, as far as its method and pattern do not say it; for `terrane openapi`.
/// Usually the pattern's last word names the resource: `GET …/runs` gives a page of runs, `GET …/runs/:id`
/// one, `PATCH …/runs/:id` takes changes and gives one, `POST …/runs` takes and makes one (201), `DELETE`
/// gives nothing (204). `uncounted` is a page of a list whose length nobody knows.
struct Shape {
  enum class Form { usual, one, made, page, uncounted, all, nothing, accepted, redirect, text };
  Form gives = Form::usual;
  std::string_view type = {};   ///< of the resource given
  std::string_view takes = {};  ///< name of the schema of the request's document; with an explicit form
                                ///< nothing is taken unless it is named
  std::string_view query = {};  ///< names of query parameters, separated by spaces, besides those of pages
};

/// One endpoint. `pattern` is a path whose parts may be `:name`; the last may be `*name` and takes the rest
/// of the path with its slashes.
struct Route {
  Method method;
  std::string pattern;
  Handler handler;
  std::size_t body_limit = 1024 * 1024;  ///< bytes; a larger Content-Length is 413 before the handler runs
  bool authenticated = true;             ///< whether the API layer asks for a token first
  Shape shape = {};                      ///< set by Router::add
};

/// All endpoints of a listener, one row each. Literal parts win over parameters. An unknown path is
/// Error{not_found}, a known path with another method too (API v2 hides what is not there). HEAD is served by
/// the row of GET unless it has its own.
class Router {
 public:
  /// Adds a row. Throws Error{internal} when the same method and pattern stand there already.
  void add(Route route, Shape shape = {});
  /// The row that serves the request, with the request's parameters filled; null when there is none.
  const Route* match(Request& request) const;
  /// All rows in the order added, for `terrane routes`.
  const std::vector<Route>& rows() const noexcept { return rows_; }

 private:
  /// One part of the patterns' paths.
  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
    std::unique_ptr<Node> parameter;                   ///< any one part
    std::vector<std::pair<Method, std::size_t>> here;  ///< rows whose pattern ends here
    std::vector<std::pair<Method, std::size_t>> rest;  ///< rows whose pattern goes on with `*name`
  };
  std::optional<std::size_t> find(const Node& node, std::span<const std::string> parts, Method method) const;

  std::vector<Route> rows_;
  Node root_;
};

}  // namespace terrane::http
