#include "http/message.h"

#include "base/error.h"
#include "http/percent.h"

namespace terrane::http {
namespace {

char lower_ascii(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + ('a' - 'A')) : c; }

int hex_digit(char c) noexcept {
  if (c >= '0' && c <= '9') return c - '0';
  c = lower_ascii(c);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/// A field that could end its line would let its writer add fields of his own, or a whole answer.
void check_field(std::string_view name, std::string_view value) {
  auto breaks = [](char c) { return c == '\r' || c == '\n' || c == '\0'; };
  bool bad_name =
      name.empty() || std::ranges::any_of(name, [](char c) { return c <= ' ' || c == ':' || c == 127; });
  if (bad_name || std::ranges::any_of(value, breaks))
    throw Error(Code::invalid, "A header field holds a line end or has no proper name.");
}

}  // namespace

std::string_view name(Method method) {
  switch (method) {
    case Method::get: return "GET";
    case Method::head: return "HEAD";
    case Method::post: return "POST";
    case Method::put: return "PUT";
    case Method::patch: return "PATCH";
    case Method::del: return "DELETE";
    case Method::options: return "OPTIONS";
  }
  return "GET";
}

bool same_name(std::string_view left, std::string_view right) noexcept {
  return left.size() == right.size() &&
         std::equal(left.begin(), left.end(), right.begin(),
                    [](char a, char b) { return lower_ascii(a) == lower_ascii(b); });
}

void Headers::add(std::string_view name, std::string_view value) {
  check_field(name, value);
  fields_.emplace_back(name, value);
}

void Headers::set(std::string_view name, std::string_view value) {
  check_field(name, value);
  std::erase_if(fields_, [&](const auto& field) { return same_name(field.first, name); });
  fields_.emplace_back(name, value);
}

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (same_name(key, name)) return value;
  }
  return std::nullopt;
}

std::optional<std::string> percent_decode(std::string_view text, bool form) {
  std::string result;
  result.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%') {
      int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
      int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
      if (high < 0 || low < 0 || (high == 0 && low == 0)) return std::nullopt;
      result.push_back(static_cast<char>(high * 16 + low));
      i += 2;
    } else {
      result.push_back(form && text[i] == '+' ? ' ' : text[i]);
    }
  }
  return result;
}

Query::Query(std::string_view encoded) {
  while (!encoded.empty()) {
    std::string_view item = encoded.substr(0, encoded.find('&'));
    encoded.remove_prefix(std::min(item.size() + 1, encoded.size()));
    if (item.empty()) continue;
    std::size_t equals = std::min(item.find('='), item.size());
    std::optional<std::string> key = percent_decode(item.substr(0, equals), true);
    std::optional<std::string> value = percent_decode(item.substr(std::min(equals + 1, item.size())), true);
    if (!key || !value) throw Error(Code::invalid, "The query holds a broken percent escape.");
    items_.emplace_back(std::move(*key), std::move(*value));
  }
}

std::optional<std::string_view> Query::find(std::string_view name) const {
  for (const auto& [key, value] : items_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

const std::string& Request::parameter(std::string_view name) const {
  for (const auto& [key, value] : parameters) {
    if (key == name) return value;
  }
  throw Error(Code::internal, "The route has no parameter '" + std::string(name) + "'.");
}

Task<std::string> read_body(Request& request, std::size_t limit) {
  auto too_large = [limit] {
    return Error(Code::too_large, "The body may have at most " + std::to_string(limit) + " bytes.");
  };
  if (request.content_length && *request.content_length > limit) throw too_large();
  std::string body;
  // The length is only a promise: room is made as the bytes come.
  constexpr std::size_t piece = 64 * 1024;
  std::size_t step = std::min<std::size_t>(request.content_length.value_or(4096), piece) + 1;
  while (true) {
    std::size_t have = body.size();
    body.resize(have + step);
    std::size_t got = co_await request.body->read({body.data() + have, step});
    body.resize(have + got);
    if (got == 0) co_return body;
    if (body.size() > limit) throw too_large();
    step = piece;
  }
}

}  // namespace terrane::http
