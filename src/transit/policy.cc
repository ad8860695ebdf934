#include "transit/policy.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"

namespace terrane::transit {
namespace {

constexpr std::size_t most_rules = 1000;

constexpr std::array<std::pair<std::string_view, Capability>, 8> capability_names{{
    {"create", Capability::create},
    {"read", Capability::read},
    {"update", Capability::update},
    {"delete", Capability::del},
    {"list", Capability::list},
    {"sudo", Capability::sudo},
    {"deny", Capability::deny},
    {"patch", Capability::patch},
}};

[[noreturn]] void refuse(const std::string& problem) {
  throw Error(Code::invalid, "failed to parse policy: " + problem);
}

std::uint8_t capability(std::string_view name) {
  for (const auto& [text, value] : capability_names) {
    if (text == name) return static_cast<std::uint8_t>(value);
  }
  refuse("invalid capability '" + std::string(name) + "'");
}

void check_pattern(const std::string& pattern) {
  if (pattern.find("{{") != std::string::npos)
    refuse("path \"" + pattern + "\": templates are not supported");
  std::size_t star = pattern.find('*');
  if (star != std::string::npos && star + 1 != pattern.size())
    refuse("path \"" + pattern + "\": '*' may only stand at the end");
  for (std::string_view part : split(pattern, '/')) {
    if (part.find('+') != std::string_view::npos && part != "+")
      refuse("path \"" + pattern + "\": '+' stands for a whole part only");
  }
}

void add_rule(Policy& policy, std::string pattern, std::uint8_t capabilities) {
  if (policy.rules.size() == most_rules) refuse("more than " + std::to_string(most_rules) + " paths");
  if (pattern.starts_with('/')) pattern.erase(0, 1);
  check_pattern(pattern);
  policy.rules.push_back({std::move(pattern), capabilities});
}

void parse_json_policy(Policy& policy) {
  json::value document = parse_json(policy.text, 8);
  const json::object* top = document.if_object();
  if (!top) refuse("the policy is not an object");
  for (const json::key_value_pair& member : *top) {
    if (member.key() != "path" || !member.value().is_object())
      refuse("invalid key '" + std::string(member.key()) + "'");
    for (const json::key_value_pair& path : member.value().get_object()) {
      const json::object* body = path.value().if_object();
      if (!body) refuse("path \"" + std::string(path.key()) + "\" is not an object");
      std::uint8_t set = 0;
      for (const json::key_value_pair& setting : *body) {
        if (setting.key() != "capabilities" || !setting.value().is_array()) {
          refuse("path \"" + std::string(path.key()) + "\": '" + std::string(setting.key()) +
                 "' is not supported");
        }
        for (const json::value& name : setting.value().get_array()) {
          if (!name.is_string())
            refuse("path \"" + std::string(path.key()) + "\": a capability is not a string");
          set |= capability(std::string_view(name.get_string()));
        }
      }
      add_rule(policy, std::string(path.key()), set);
    }
  }
}

/// Reads the subset of HCL that policy.h names.
class HclReader {
 public:
  explicit HclReader(std::string_view text) : text_(text) {}

  void read(Policy& policy) {
    for (skip(); at_ < text_.size(); skip()) {
      std::string word = identifier();
      if (word != "path") refuse("invalid key '" + word + "'");
      std::string pattern = quoted();
      expect('{');
      std::uint8_t set = 0;
      while (!accept('}')) {
        std::string setting = identifier();
        if (setting != "capabilities") refuse("path \"" + pattern + "\": '" + setting + "' is not supported");
        expect('=');
        set |= list();
      }
      add_rule(policy, std::move(pattern), set);
    }
  }

 private:
  void skip() {
    while (at_ < text_.size()) {
      std::string_view rest = text_.substr(at_);
      if (std::string_view(" \t\r\n").find(rest[0]) != std::string_view::npos) {
        ++at_;
      } else if (rest.starts_with('#') || rest.starts_with("//")) {
        at_ = std::min(text_.find('\n', at_), text_.size());
      } else if (rest.starts_with("/*")) {
        std::size_t end = text_.find("*/", at_ + 2);
        if (end == std::string_view::npos) refuse("a comment does not end");
        at_ = end + 2;
      } else {
        return;
      }
    }
  }

  std::string place() const {
    auto lines = std::count(text_.begin(),
                            text_.begin() + static_cast<std::ptrdiff_t>(std::min(at_, text_.size())), '\n');
    return " in line " + std::to_string(lines + 1);
  }

  bool accept(char symbol) {
    skip();
    if (at_ >= text_.size() || text_[at_] != symbol) return false;
    ++at_;
    return true;
  }

  void expect(char symbol) {
    if (!accept(symbol)) refuse(std::string("expected '") + symbol + "'" + place());
  }

  std::string identifier() {
    skip();
    std::size_t start = at_;
    while (at_ < text_.size() && (std::isalnum(static_cast<unsigned char>(text_[at_])) || text_[at_] == '_'))
      ++at_;
    if (at_ == start) refuse("expected a name" + place());
    return std::string(text_.substr(start, at_ - start));
  }

  std::string quoted() {
    expect('"');
    std::size_t end = text_.find_first_of("\"\\\n", at_);
    if (end == std::string_view::npos || text_[end] != '"')
      refuse("a string does not end, or holds an escape," + place());
    std::string value(text_.substr(at_, end - at_));
    at_ = end + 1;
    return value;
  }

  std::uint8_t list() {
    std::uint8_t set = 0;
    expect('[');
    while (!accept(']')) {
      set |= capability(quoted());
      if (!accept(',')) {
        expect(']');
        break;
      }
    }
    return set;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool matches(std::string_view pattern, std::string_view path) {
  bool open = pattern.ends_with('*');
  if (open) pattern.remove_suffix(1);
  while (!pattern.empty()) {
    if (pattern[0] == '+' && (pattern.size() == 1 || pattern[1] == '/')) {
      std::size_t end = std::min(path.find('/'), path.size());
      if (end == 0) return false;
      path.remove_prefix(end);
      pattern.remove_prefix(1);
      continue;
    }
    if (path.empty() || path[0] != pattern[0]) return false;
    pattern.remove_prefix(1);
    path.remove_prefix(1);
  }
  return open || path.empty();
}

/// Vault's order of patterns, greatest first: exact before wildcards, then a later first wildcard, no '*' at
/// the end, fewer '+', longer, lexicographically greater.
auto rank(const std::string& pattern) {
  bool star = pattern.ends_with('*');
  auto pluses = std::count(pattern.begin(), pattern.end(), '+');
  std::size_t first = std::min(pattern.find_first_of("+*"), pattern.size());
  bool exact = !star && pluses == 0;
  return std::make_tuple(exact, first, !star, -pluses, pattern.size(), std::string_view(pattern));
}

}  // namespace

Policy parse_policy(std::string name, std::string text) {
  Policy policy{std::move(name), std::move(text), {}};
  if (trim(policy.text).starts_with('{')) {
    parse_json_policy(policy);
  } else {
    HclReader(policy.text).read(policy);
  }
  return policy;
}

const Policy& default_policy() {
  static const Policy policy = parse_policy("default", R"(path "auth/token/lookup-self" {
  capabilities = ["read"]
}
path "auth/token/renew-self" {
  capabilities = ["update"]
}
path "auth/token/revoke-self" {
  capabilities = ["update"]
}
)");
  return policy;
}

bool allows(const std::vector<std::shared_ptr<const Policy>>& policies, std::string_view path,
            std::uint8_t needed) {
  const std::string* best = nullptr;
  std::uint8_t granted = 0;
  for (const auto& policy : policies) {
    for (const PathRule& rule : policy->rules) {
      if (!matches(rule.pattern, path)) continue;
      if (!best || rank(rule.pattern) > rank(*best)) {
        best = &rule.pattern;
        granted = 0;
      }
      if (rule.pattern == *best) granted |= rule.capabilities;
    }
  }
  if ((granted & static_cast<std::uint8_t>(Capability::deny)) != 0) return false;
  return needed != 0 && (granted & needed) == needed;
}

}  // namespace terrane::transit
