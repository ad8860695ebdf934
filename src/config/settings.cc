#include "config/settings.h"

#include <fstream>
#include <sstream>
#include <unistd.h>

#include "base/error.h"
#include "base/text.h"

namespace terrane::config {
namespace {

constexpr Setting settings[] = {
    {.name = "TFE_HOSTNAME",
     .kind = Kind::text,
     .standard = "localhost",
     .meaning = "The name under which clients reach this installation, without port."},
    {.name = "TFE_OPERATIONAL_MODE",
     .kind = Kind::choice,
     .standard = "demo",
     .meaning = "Where each kind of data lies. Chosen at install and never changed.",
     .choices = "demo",
     .fixed = true},
    {.name = "TFE_HTTPS_PORT",
     .kind = Kind::number,
     .standard = "9443",
     .meaning = "Port of API, CLI and user interface.",
     .least = 1,
     .most = 65535},
    {.name = "TERRANE_LISTEN",
     .kind = Kind::text,
     .standard = "127.0.0.1",
     .meaning = "Address to listen on for clients."},
    {.name = "TERRANE_JOB_PORT",
     .kind = Kind::number,
     .standard = "9445",
     .meaning = "Port of the job API for worker nodes; 0 takes a free one.",
     .least = 0,
     .most = 65535},
    {.name = "TFE_CAPACITY_CONCURRENCY",
     .kind = Kind::number,
     .standard = "10",
     .meaning = "Phases that a worker executes at once.",
     .least = 1,
     .most = 1000},
    {.name = "TFE_CAPACITY_MEMORY",
     .kind = Kind::number,
     .standard = "2048",
     .meaning = "Memory limit of a phase.",
     .unit = "MiB",
     .least = 128,
     .most = 1048576},
    {.name = "TFE_CAPACITY_CPU",
     .kind = Kind::number,
     .standard = "0",
     .meaning = "Processors that a phase may use; 0 is no limit.",
     .least = 0,
     .most = 1024},
    {.name = "TERRANE_CAPACITY_PROCESSES",
     .kind = Kind::number,
     .standard = "1024",
     .meaning = "Processes and threads of a phase.",
     .least = 32,
     .most = 1000000},
    {.name = "TERRANE_CAPACITY_DISK",
     .kind = Kind::number,
     .standard = "4096",
     .meaning = "Size limit of a run's directory, which lies in memory.",
     .unit = "MiB",
     .least = 16,
     .most = 1048576},
    {.name = "TERRANE_PLAN_TIMEOUT",
     .kind = Kind::number,
     .standard = "7200",
     .meaning = "Time limit of a plan.",
     .unit = "s",
     .least = 10,
     .most = 86400},
    {.name = "TERRANE_APPLY_TIMEOUT",
     .kind = Kind::number,
     .standard = "86400",
     .meaning = "Time limit of an apply.",
     .unit = "s",
     .least = 10,
     .most = 86400},
    {.name = "TERRANE_WORKERS",
     .kind = Kind::number,
     .standard = "1",
     .meaning = "Workers on this machine.",
     .least = 1,
     .most = 8},
    {.name = "TERRANE_NODE_GRACE",
     .kind = Kind::number,
     .standard = "600",
     .meaning = "Where there are several nodes: how long an apply goes on whose node does not reach the "
                "platform. Its workspace is free a minute later.",
     .unit = "s",
     .least = 60,
     .most = 86400},
    {.name = "TERRANE_DUTY_LOCKS",
     .kind = Kind::yes_no,
     .standard = "true",
     .meaning = "Whether several backgrounds divide their duties by locks, which spares work; without, each "
                "does all (tests)."},
    {.name = "TERRANE_RATE_LIMIT",
     .kind = Kind::number,
     .standard = "0",
     .meaning = "API requests per second and user; 0 is no limit.",
     .unit = "requests/s",
     .least = 0,
     .most = 10000},
    {.name = "TERRANE_FALLBACK_ENGINE",
     .kind = Kind::yes_no,
     .standard = "true",
     .meaning = "Whether a version that nobody registered is served by the default OpenTofu, which the log "
                "then says."},
    {.name = "TERRANE_SANDBOX_LIMITS",
     .kind = Kind::choice,
     .standard = "strict",
     .meaning = "weak allows runs on a machine whose cgroups are not writable: memory, CPU and processes are "
                "then not limited.",
     .choices = "strict weak"},
    {.name = "TERRANE_SANDBOX_NETWORK",
     .kind = Kind::choice,
     .standard = "on",
     .meaning = "off gives runs no network but the platform itself.",
     .choices = "on off"},
    {.name = "TERRANE_RESTRICT_METADATA",
     .kind = Kind::yes_no,
     .standard = "true",
     .meaning = "Whether the cloud's metadata address is out of a run's reach."},
    {.name = "TERRANE_RESTRICT_PRIVATE",
     .kind = Kind::yes_no,
     .standard = "false",
     .meaning = "Whether private addresses (RFC 1918 and the like) are out of a run's reach."},
    {.name = "TERRANE_ENGINE_STORE",
     .kind = Kind::path,
     .standard = "",
     .meaning = "Directory of engines with a manifest.json."},
    {.name = "TERRANE_PROVIDER_STORE",
     .kind = Kind::path,
     .standard = "",
     .meaning = "Filesystem mirror of providers that all runs share, read-only."},
    {.name = "TERRANE_LOOK_INTERVAL",
     .kind = Kind::number,
     .standard = "2000",
     .meaning = "How often waiters look by themselves; 0 leaves it to messages alone (tests).",
     .unit = "ms",
     .least = 0,
     .most = 60000},
};

/// Names of the original that say nothing here; giving one is no mistake.
constexpr std::string_view without_meaning[] = {
    "TFE_LICENSE",
    "TFE_LICENSE_PATH",
    "TFE_HTTP_PORT",
    "TFE_LICENSE_REPORTING_OPT_OUT",
    "TFE_USAGE_REPORTING_OPT_OUT",
    "TFE_RUN_PIPELINE_IMAGE",
    "TFE_RUN_PIPELINE_DOCKER_NETWORK",
    "TFE_DISK_CACHE_PATH",
    "TFE_DISK_CACHE_VOLUME_NAME",
    "TFE_ATLAS_WEB_WORKER_COUNT",
    "TFE_ATLAS_DB_POOL",
};
constexpr std::string_view of_clients[] = {"TFE_TOKEN", "TFE_ADDRESS", "TFE_SSL_SKIP_VERIFY"};

const Setting* find(std::string_view name) {
  for (const Setting& setting : settings) {
    if (setting.name == name) return &setting;
  }
  return nullptr;
}

bool contains(std::span<const std::string_view> list, std::string_view name) {
  for (std::string_view item : list) {
    if (item == name) return true;
  }
  return false;
}

/// What is wrong with a value, or nothing.
std::optional<std::string> wrong(const Setting& setting, const std::string& value) {
  switch (setting.kind) {
    case Kind::number: {
      std::optional<std::int64_t> number = parse_int(value);
      if (number && *number >= setting.least && *number <= setting.most) return std::nullopt;
      return "a whole number from " + std::to_string(setting.least) + " to " + std::to_string(setting.most) +
             (setting.unit.empty() ? "" : " (" + std::string(setting.unit) + ")");
    }
    case Kind::yes_no:
      if (value == "true" || value == "false") return std::nullopt;
      return "true or false";
    case Kind::choice:
      for (std::string_view choice : split(setting.choices, ' ')) {
        if (choice == value) return std::nullopt;
      }
      return "one of: " + std::string(setting.choices);
    case Kind::path:
      if (value.empty() || value.front() == '/') return std::nullopt;
      return "an absolute path";
    case Kind::text:
      if (is_clean_utf8(value) && value.find('\n') == std::string::npos) return std::nullopt;
      return "one line of UTF-8 text";
  }
  return "nothing";
}

}  // namespace

std::span<const Setting> all() { return settings; }

Settings Settings::from(const std::map<std::string, std::string>& given) {
  Settings out;
  std::vector<Problem> problems;
  for (const auto& [name, value] : given) {
    if (contains(of_clients, name)) continue;
    if (contains(without_meaning, name)) {
      out.warnings_.push_back("The setting " + name + " has no meaning here and is ignored.");
      continue;
    }
    const Setting* setting = find(name);
    if (!setting) {
      problems.push_back({"The setting " + name + " is not known. `terrane settings` lists all.", ""});
      continue;
    }
    if (std::optional<std::string> allowed = wrong(*setting, value)) {
      std::string shown = setting->secret ? "(not shown)" : "'" + value + "'";
      problems.push_back({"The setting " + name + " is " + shown + "; allowed is " + *allowed + ".", ""});
      continue;
    }
    out.values_[name] = value;
  }
  if (!problems.empty()) throw Error(Code::invalid, std::move(problems));
  return out;
}

std::string Settings::text(std::string_view name) const {
  const Setting* setting = find(name);
  if (!setting) throw Error(Code::internal, "The setting " + std::string(name) + " is not declared.");
  auto value = values_.find(name);
  return value == values_.end() ? std::string(setting->standard) : value->second;
}

std::int64_t Settings::number(std::string_view name) const { return parse_int(text(name)).value_or(0); }
double Settings::real(std::string_view name) const { return static_cast<double>(number(name)); }
bool Settings::yes(std::string_view name) const { return text(name) == "true"; }
bool Settings::given(std::string_view name) const { return values_.find(name) != values_.end(); }

std::string Settings::to_file() const {
  std::string out;
  for (const auto& [name, value] : values_) out += name + "=" + value + "\n";
  return out;
}

std::map<std::string, std::string> read_file(const std::filesystem::path& path) {
  std::ifstream file(path);
  if (!file) throw Error(Code::invalid, "The settings file " + path.string() + " cannot be read.");
  std::map<std::string, std::string> out;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    std::string_view text = trim(line);
    if (text.empty() || text.front() == '#') continue;
    std::size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      throw Error(Code::invalid,
                  path.string() + ":" + std::to_string(number) + ": a line must be NAME=value.");
    }
    std::string_view value = trim(text.substr(equals + 1));
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"')
      value = value.substr(1, value.size() - 2);
    out[std::string(trim(text.substr(0, equals)))] = std::string(value);
  }
  return out;
}

std::map<std::string, std::string> from_environment() {
  std::map<std::string, std::string> out;
  for (char** entry = environ; *entry; ++entry) {
    std::string_view text(*entry);
    std::size_t equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    std::string_view name = text.substr(0, equals);
    if (name.starts_with("TFE_") || name.starts_with("TERRANE_"))
      out[std::string(name)] = std::string(text.substr(equals + 1));
  }
  return out;
}

}  // namespace terrane::config
