#include "http/router.h"

#include "base/error.h"
#include "http/percent.h"

namespace terrane::http {
namespace {

/// The parts of a path between slashes; a path that does not begin with one has none.
std::vector<std::string_view> parts_of(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty() && path.front() == '/') {
    path.remove_prefix(1);
    std::size_t end = std::min(path.find('/'), path.size());
    parts.push_back(path.substr(0, end));
    path.remove_prefix(end);
  }
  return parts;
}

std::optional<std::size_t> row_for(const std::vector<std::pair<Method, std::size_t>>& rows, Method method) {
  for (const auto& [key, row] : rows) {
    if (key == method) return row;
  }
  return std::nullopt;
}

std::optional<std::size_t> row_or_get(const std::vector<std::pair<Method, std::size_t>>& rows,
                                      Method method) {
  std::optional<std::size_t> row = row_for(rows, method);
  return !row && method == Method::head ? row_for(rows, Method::get) : row;
}

std::string joined(std::span<const std::string> parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() && &part == parts.data() ? "" : "/") + part;
  return text;
}

}  // namespace

void Router::add(Route route, Shape shape) {
  route.shape = shape;
  Node* node = &root_;
  std::vector<std::pair<Method, std::size_t>>* rows = nullptr;
  for (std::string_view part : parts_of(route.pattern)) {
    if (rows) throw Error(Code::internal, "Only the last part of a pattern may be '*': " + route.pattern);
    if (part.starts_with('*')) {
      rows = &node->rest;
    } else if (part.starts_with(':')) {
      if (!node->parameter) node->parameter = std::make_unique<Node>();
      node = node->parameter.get();
    } else {
      auto& next = node->literals.try_emplace(std::string(part)).first->second;
      if (!next) next = std::make_unique<Node>();
      node = next.get();
    }
  }
  if (!rows) rows = &node->here;
  if (row_for(*rows, route.method)) {
    throw Error(Code::internal, "Two routes: " + std::string(name(route.method)) + " " + route.pattern);
  }
  rows->emplace_back(route.method, rows_.size());
  rows_.push_back(std::move(route));
}

std::optional<std::size_t> Router::find(const Node& node, std::span<const std::string> parts,
                                        Method method) const {
  if (parts.empty()) return row_or_get(node.here, method);
  if (auto next = node.literals.find(parts.front()); next != node.literals.end()) {
    if (auto row = find(*next->second, parts.subspan(1), method)) return row;
  }
  if (node.parameter && !parts.front().empty()) {
    if (auto row = find(*node.parameter, parts.subspan(1), method)) return row;
  }
  // What a wildcard takes often names a file: a path that climbs is nobody's.
  if (std::ranges::find(parts, "..") != parts.end()) return std::nullopt;
  return row_or_get(node.rest, method);
}

const Route* Router::match(Request& request) const {
  std::vector<std::string> parts;
  for (std::string_view part : parts_of(request.path)) {
    std::optional<std::string> decoded = percent_decode(part, false);
    if (!decoded) return nullptr;
    parts.push_back(std::move(*decoded));
  }
  std::optional<std::size_t> row = parts.empty() ? std::nullopt : find(root_, parts, request.method);
  if (!row) return nullptr;
  request.parameters.clear();
  std::size_t at = 0;
  for (std::string_view part : parts_of(rows_[*row].pattern)) {
    if (part.starts_with('*')) {
      request.parameters.emplace_back(part.substr(1), joined(std::span(parts).subspan(at)));
    } else if (part.starts_with(':')) {
      request.parameters.emplace_back(part.substr(1), parts[at]);
    }
    ++at;
  }
  return &rows_[*row];
}

}  // namespace terrane::http
