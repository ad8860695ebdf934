#include "api/parameters.h"

#include <map>

#include "api/excerpt.h"
#include "base/error.h"
#include "base/text.h"

namespace terrane::api {
namespace {

constexpr std::size_t longest_text = 1024;
constexpr std::size_t most_values = 100;
constexpr std::size_t most_tags = 20;

[[noreturn]] void wrong(std::string_view name, const std::string& rule) {
  throw Error(Code::invalid, "The parameter " + excerpt(name) + " " + rule);
}

/// The value of a parameter that can go to PostgreSQL.
std::optional<std::string_view> given(const http::Request& request, std::string_view name) {
  std::optional<std::string_view> value = request.query.find(name);
  if (!value || value->empty()) return std::nullopt;
  if (!is_clean_utf8(*value)) wrong(name, "must be UTF-8 text.");
  return value;
}

}  // namespace

jsonapi::Page page(const http::Request& request) {
  jsonapi::Page page;
  auto read = [&](std::string_view name, std::int64_t& into, std::int64_t most) {
    std::optional<std::string_view> value = request.query.find(name);
    if (!value || value->empty()) return;
    std::optional<std::int64_t> number = parse_int(*value);
    if (!number || *number < 1) wrong(name, "must be a whole number from 1, not '" + excerpt(*value) + "'.");
    into = std::min(*number, most);
  };
  read("page[number]", page.number, 1'000'000'000);
  read("page[size]", page.size, 100);
  return page;
}

std::optional<std::string> text_parameter(const http::Request& request, std::string_view name) {
  std::optional<std::string_view> value = given(request, name);
  if (!value) return std::nullopt;
  if (value->size() > longest_text)
    wrong(name, "may have at most " + std::to_string(longest_text) + " bytes.");
  return std::string(*value);
}

std::optional<bool> bool_parameter(const http::Request& request, std::string_view name) {
  std::optional<std::string_view> value = given(request, name);
  if (!value) return std::nullopt;
  if (*value == "true" || *value == "1") return true;
  if (*value == "false" || *value == "0") return false;
  wrong(name, "must be true or false.");
}

std::vector<std::string> list_parameter(const http::Request& request, std::string_view name) {
  std::vector<std::string> values;
  for (std::string_view part : split(given(request, name).value_or(""), ',')) {
    if (std::string_view value = trim(part); !value.empty()) values.emplace_back(value);
  }
  if (values.size() > most_values)
    wrong(name, "may hold at most " + std::to_string(most_values) + " values.");
  return values;
}

std::optional<std::vector<std::string>> opt_list_parameter(const http::Request& request,
                                                           std::string_view name) {
  std::vector<std::string> values = list_parameter(request, name);
  if (values.empty()) return std::nullopt;
  return values;
}

Sort sort(const http::Request& request, std::initializer_list<std::string_view> keys, Sort usual) {
  std::optional<std::string_view> value = given(request, "sort");
  if (!value) return usual;
  Sort wanted;
  wanted.descending = value->starts_with('-');
  wanted.key = value->substr(wanted.descending ? 1 : 0);
  if (std::ranges::find(keys, std::string_view(wanted.key)) != keys.end()) return wanted;
  std::string rule = "must be one of these, or one with - before it:";
  for (std::string_view key : keys) rule += " " + std::string(key);
  wrong("sort", rule + ".");
}

std::vector<TagFilter> tag_filters(const http::Request& request) {
  struct Part {
    std::optional<std::string> key, value;
  };
  std::map<std::string, Part, std::less<>> parts;
  constexpr std::string_view prefix = "filter[tagged][";
  for (const auto& [name, value] : request.query.all()) {
    if (!name.starts_with(prefix)) continue;
    const std::size_t end = name.find(']', prefix.size());
    if (end == std::string::npos) continue;
    const std::string_view member = std::string_view(name).substr(end + 1);
    if (member != "[key]" && member != "[value]") continue;
    Part& part = parts[name.substr(prefix.size(), end - prefix.size())];
    (member == "[key]" ? part.key : part.value) = text_parameter(request, name);
  }
  if (parts.size() > most_tags)
    wrong("filter[tagged]", "may be given at most " + std::to_string(most_tags) + " times.");
  std::vector<TagFilter> out;
  for (auto& [index, part] : parts) {
    if (!part.key) wrong("filter[tagged][" + index + "]", "must have a key.");
    out.push_back({*std::move(part.key), std::move(part.value)});
  }
  return out;
}

json::value to_json(const std::vector<TagFilter>& filters) {
  json::array out;
  for (const TagFilter& filter : filters) {
    out.push_back(json::object{{"key", filter.key},
                               {"value", filter.value ? json::value(*filter.value) : json::value()}});
  }
  return out;
}

}  // namespace terrane::api
