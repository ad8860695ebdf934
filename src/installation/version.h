#pragma once
#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace terrane::installation {

/// A version of an engine by semver.org 2.0: three numbers and perhaps a pre-release, which comes before the
/// release. Build metadata is refused.
struct Version {
  std::array<std::int64_t, 3> numbers{};
  std::vector<std::string> prerelease;  ///< identifiers between dots
  std::strong_ordering operator<=>(const Version& other) const;
  bool operator==(const Version& other) const = default;
};

/// `1.12.6` or `1.13.0-beta1`; nothing on anything else.
std::optional<Version> parse_version(std::string_view text);

/// A registered version, as far as it matters for choosing one.
struct Candidate {
  std::string version;
  bool enabled = true;
  bool beta = false;
};

/// The registered version that a workspace's `terraform-version` means: an exact one, `latest`, or the
/// highest that meets a constraint such as
/// `~> 1.5.0` or `>= 1.3, < 2` (operators = != > >= < <= ~>, with the meaning that Terraform gives them).
/// Disabled ones are never chosen; betas and pre-releases only when they are named exactly. Nothing when none
/// fits or `wanted` is not understood.
std::optional<std::string> resolve_version(std::span<const Candidate> registered, std::string_view wanted);

/// Whether `wanted` is an exact version, `latest` or a constraint.
bool is_version_or_constraint(std::string_view wanted);

}  // namespace terrane::installation
