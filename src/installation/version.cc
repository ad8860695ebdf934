#include "installation/version.h"

#include <algorithm>

#include "base/text.h"

namespace terrane::installation {
namespace {

constexpr std::size_t longest_text = 256;

/// Digits that a number of ours can hold.
bool is_digits(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; }) && parse_int(text);
}

bool is_identifier(std::string_view text) {
  auto allowed = [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
  };
  return !text.empty() && std::all_of(text.begin(), text.end(), allowed);
}

/// A version of which the last numbers may be left out; `given` counts those that were there.
struct Partial {
  Version version;
  std::size_t given = 0;
};

std::optional<Partial> parse_partial(std::string_view text) {
  if (text.size() > longest_text) return std::nullopt;
  Partial out;
  const std::size_t dash = text.find('-');
  std::vector<std::string_view> numbers = split(text.substr(0, dash), '.');
  if (numbers.empty() || numbers.size() > 3) return std::nullopt;
  for (std::string_view number : numbers) {
    if (!is_digits(number)) return std::nullopt;
    out.version.numbers[out.given++] = parse_int(number).value_or(0);
  }
  if (dash != std::string_view::npos) {
    if (out.given != 3 || dash + 1 == text.size()) return std::nullopt;
    for (std::string_view part : split(text.substr(dash + 1), '.')) {
      if (!is_identifier(part)) return std::nullopt;
      out.version.prerelease.emplace_back(part);
    }
  }
  return out;
}

/// Identifiers of digits compare as numbers and come before others.
std::strong_ordering compare_identifiers(const std::string& left, const std::string& right) {
  const bool left_is_number = is_digits(left);
  const bool right_is_number = is_digits(right);
  if (left_is_number && right_is_number) return parse_int(left).value_or(0) <=> parse_int(right).value_or(0);
  if (left_is_number != right_is_number)
    return left_is_number ? std::strong_ordering::less : std::strong_ordering::greater;
  return left <=> right;
}

enum class Operator { equal, not_equal, greater, greater_equal, less, less_equal, pessimistic };

struct Constraint {
  Operator op = Operator::equal;
  Partial bound;
};

/// `~> 1.2.3` lets only the last given number grow, and what comes after it.
bool meets_pessimistic(const Version& version, const Partial& bound) {
  if (version < bound.version) return false;
  for (std::size_t i = 0; i + 1 < bound.given; ++i) {
    if (version.numbers[i] != bound.version.numbers[i]) return false;
  }
  return true;
}

bool meets(const Version& version, const Constraint& constraint) {
  const Version& bound = constraint.bound.version;
  switch (constraint.op) {
    case Operator::equal: return version == bound;
    case Operator::not_equal: return version != bound;
    case Operator::greater: return version > bound;
    case Operator::greater_equal: return version >= bound;
    case Operator::less: return version < bound;
    case Operator::less_equal: return version <= bound;
    case Operator::pessimistic: return meets_pessimistic(version, constraint.bound);
  }
  return false;
}

std::optional<Constraint> parse_constraint(std::string_view text) {
  // Longer operators stand first, because some begin like shorter ones.
  static constexpr std::array<std::pair<std::string_view, Operator>, 7> operators{
      {{"~>", Operator::pessimistic},
       {">=", Operator::greater_equal},
       {"<=", Operator::less_equal},
       {"!=", Operator::not_equal},
       {"=", Operator::equal},
       {">", Operator::greater},
       {"<", Operator::less}}};
  Constraint constraint;
  text = trim(text);
  for (const auto& [sign, op] : operators) {
    if (!text.starts_with(sign)) continue;
    constraint.op = op;
    text = trim(text.substr(sign.size()));
    break;
  }
  std::optional<Partial> bound = parse_partial(text);
  if (!bound) return std::nullopt;
  constraint.bound = *bound;
  return constraint;
}

/// All of a list between commas; nothing when one is not understood.
std::optional<std::vector<Constraint>> parse_constraints(std::string_view text) {
  if (text.size() > longest_text || trim(text).empty()) return std::nullopt;
  std::vector<Constraint> constraints;
  for (std::string_view part : split(text, ',')) {
    std::optional<Constraint> constraint = parse_constraint(part);
    if (!constraint) return std::nullopt;
    constraints.push_back(*constraint);
  }
  return constraints;
}

}  // namespace

std::strong_ordering Version::operator<=>(const Version& other) const {
  if (auto order = numbers <=> other.numbers; order != 0) return order;
  if (prerelease.empty() != other.prerelease.empty()) {
    return prerelease.empty() ? std::strong_ordering::greater : std::strong_ordering::less;
  }
  for (std::size_t i = 0; i < std::min(prerelease.size(), other.prerelease.size()); ++i) {
    if (auto order = compare_identifiers(prerelease[i], other.prerelease[i]); order != 0) return order;
  }
  return prerelease.size() <=> other.prerelease.size();
}

std::optional<Version> parse_version(std::string_view text) {
  std::optional<Partial> parsed = parse_partial(text);
  if (!parsed || parsed->given != 3) return std::nullopt;
  return parsed->version;
}

std::optional<std::string> resolve_version(std::span<const Candidate> registered, std::string_view wanted) {
  wanted = trim(wanted);
  for (const Candidate& candidate : registered) {
    if (candidate.enabled && candidate.version == wanted) return candidate.version;
  }
  std::vector<Constraint> constraints;
  if (wanted != "latest") {
    std::optional<std::vector<Constraint>> parsed = parse_constraints(wanted);
    if (!parsed) return std::nullopt;
    constraints = std::move(*parsed);
  }
  std::optional<Version> best;
  std::optional<std::string> chosen;
  for (const Candidate& candidate : registered) {
    std::optional<Version> version = parse_version(candidate.version);
    if (!version || !candidate.enabled || candidate.beta || !version->prerelease.empty()) continue;
    auto holds = [&](const Constraint& constraint) { return meets(*version, constraint); };
    if (!std::all_of(constraints.begin(), constraints.end(), holds) || (best && *version <= *best)) continue;
    best = std::move(version);
    chosen = candidate.version;
  }
  return chosen;
}

bool is_version_or_constraint(std::string_view wanted) {
  return trim(wanted) == "latest" || parse_constraints(wanted).has_value();
}

}  // namespace terrane::installation
