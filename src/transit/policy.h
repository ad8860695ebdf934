#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace terrane::transit {

/// What a policy may allow on a path; a set is the bitwise or.
enum class Capability : std::uint8_t {
  none = 0,
  create = 1,
  read = 2,
  update = 4,
  del = 8,
  list = 16,
  sudo = 32,
  deny = 64,
  patch = 128
};

/// One `path` rule.
struct PathRule {
  std::string
      pattern;  ///< a path without a leading slash; `+` stands for one part, a `*` at the end for any rest
  std::uint8_t capabilities = 0;
};

/// A named policy: its text as written and its rules.
struct Policy {
  std::string name;
  std::string text;
  std::vector<PathRule> rules;
};

/// Reads Vault's policy format, as JSON or as HCL. Of HCL it takes blocks `path "…" { capabilities = ["…", …]
/// }` with comments (#, //, /* */) and trailing commas; of both, `capabilities` only. Everything else
/// (allowed_parameters, templates, …) throws Error{invalid} that names it: a restriction that is not enforced
/// must not be accepted.
Policy parse_policy(std::string name, std::string text);

/// The policy `default`, where nobody wrote another: a token may look at, renew and revoke itself.
const Policy& default_policy();

/// Whether the policies together allow all of `needed` on `path` (without /v1/). As in Vault the most
/// specific pattern decides; equal patterns of several policies add up; deny wins.
bool allows(const std::vector<std::shared_ptr<const Policy>>& policies, std::string_view path,
            std::uint8_t needed);

}  // namespace terrane::transit
