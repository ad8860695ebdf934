#include "shim/engine_files.h"

#include <set>

#include "base/error.h"
#include "base/text.h"
#include "sandbox/shim_side.h"
#include "shim/hcl.h"

namespace terrane::shim {
namespace {

namespace fs = std::filesystem;
using worker_protocol::Job;
using worker_protocol::Variable;

bool is_identifier(std::string_view text) {
  auto letter = [](char c) {
    unsigned char byte = static_cast<unsigned char>(c);
    return std::isalpha(byte) || c == '_' || byte >= 0x80;
  };
  if (text.empty() || !letter(text.front())) return false;
  return std::all_of(text.begin(), text.end(),
                     [&](char c) { return letter(c) || c == '-' || (c >= '0' && c <= '9'); });
}

std::string list_of(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? ", " : "") + hcl_string(item);
  return out + "]";
}

std::vector<std::string> directories(const fs::path& path) {
  std::vector<std::string> names;
  std::error_code none;
  for (fs::directory_iterator it(path, none), end; !none && it != end; it.increment(none)) {
    std::error_code unknown;
    if (it->is_directory(unknown)) names.push_back(it->path().filename());
  }
  return names;
}

}  // namespace

std::string override_file() {
  return R"({"terraform":{"backend":{"local":{}}}})"
         "\n";
}

std::string variables_file(const std::vector<Variable>& variables) {
  std::map<std::string, const Variable*> chosen;
  for (const Variable& variable : variables) {
    if (variable.environment) continue;
    if (!is_identifier(variable.key)) {
      throw Error(Code::unprocessable,
                  "The variable name \"" + variable.key + "\" is not a valid identifier.");
    }
    chosen[variable.key] = &variable;
  }
  std::string out;
  for (const auto& [key, variable] : chosen) {
    // An expression may end in a here-document, whose mark must stand alone on its line: so a line end
    // follows, and nothing else.
    out += key + " = " + (variable->hcl ? variable->value.reveal() : hcl_string(variable->value.reveal())) +
           "\n";
  }
  return out;
}

std::vector<std::string> stored_providers(const fs::path& store) {
  std::vector<std::string> found;
  if (store.empty()) return found;
  for (const std::string& host : directories(store)) {
    for (const std::string& space : directories(store / host)) {
      for (const std::string& type : directories(store / host / space))
        found.push_back(host + "/" + space + "/" + type);
    }
  }
  std::sort(found.begin(), found.end());
  return found;
}

std::string cli_config(const std::vector<std::string>& stored, const std::string& hostname,
                       const Secret& token, bool prefer_store) {
  std::string out = "disable_checkpoint = true\n";
  if (!stored.empty()) {
    out += "provider_installation {\n  filesystem_mirror {\n    path = " + hcl_string(providers_inside) +
           "\n    include = " + list_of(stored) + "\n  }\n  direct {\n";
    if (prefer_store) out += "    exclude = " + list_of(stored) + "\n";
    out += "  }\n}\n";
  }
  if (!hostname.empty() && !token.empty()) {
    out += "credentials " + hcl_string(hostname) + " {\n  token = " + hcl_string(token.reveal()) + "\n}\n";
  }
  return out;
}

std::map<std::string, std::string> engine_environment(const Job& job, std::string_view config_path,
                                                      bool own_certificates) {
  std::map<std::string, std::string> out = {{"PATH", "/usr/local/bin:/usr/bin:/bin"},
                                            {"HOME", sandbox::home_inside},
                                            {"LANG", "C.UTF-8"},
                                            {"TMPDIR", "/tmp"}};
  if (own_certificates) out["SSL_CERT_FILE"] = certificates_inside;
  for (const auto& [key, value] : job.environment) out[key] = value;
  for (const Variable& variable : job.variables) {
    bool usable = !variable.key.empty() && variable.key.find('=') == std::string::npos &&
                  variable.key.find('\0') == std::string::npos &&
                  variable.value.reveal().find('\0') == std::string::npos;
    if (variable.environment && usable) out[variable.key] = variable.value.reveal();
  }
  out["TF_IN_AUTOMATION"] = "1";
  out["TF_INPUT"] = "0";
  out["CHECKPOINT_DISABLE"] = "1";
  out["TF_WORKSPACE"] = job.workspace_name;
  out["TF_CLI_CONFIG_FILE"] = config_path;
  out.erase("TF_DATA_DIR");  // state and prepared directory lie where the shim looks for them
  return out;
}

void spare_collection(const Job& job, std::map<std::string, std::string>& environment) {
  if (environment.contains("GOGC") || environment.contains("GOMEMLIMIT")) return;
  environment["GOGC"] = "off";
  environment["GOMEMLIMIT"] = std::to_string(job.memory_bytes / 4);
}

std::string program_name(const std::string& engine) { return engine == "opentofu" ? "tofu" : "terraform"; }

std::vector<std::string> init_arguments() { return {"init", "-input=false", "-no-color"}; }

std::vector<std::string> plan_arguments(const Job& job, const std::string& plan_path) {
  std::vector<std::string> out = {"plan", "-input=false", "-no-color", "-detailed-exitcode",
                                  "-out=" + plan_path};
  if (job.structured_output) out.push_back("-json");
  if (job.destroy) out.push_back("-destroy");
  if (!job.refresh) out.push_back("-refresh=false");
  if (job.refresh_only) out.push_back("-refresh-only");
  for (const std::string& target : job.targets) out.push_back("-target=" + target);
  for (const std::string& replace : job.replaces) out.push_back("-replace=" + replace);
  return out;
}

bool writes_events(const Job& job) {
  std::vector<std::string_view> parts = split(job.engine_version, '.');
  std::int64_t major = parts.empty() ? 0 : parse_int(parts[0]).value_or(0);
  std::int64_t minor = parts.size() < 2 ? 0 : parse_int(parts[1]).value_or(0);
  return job.engine == "opentofu" && (major > 1 || (major == 1 && minor >= 12));
}

std::vector<std::string> apply_arguments(const Job& job, const std::string& events_path,
                                         const std::string& plan_path) {
  // No backup: it would be written before the state, and lie in its way when the directory is full.
  std::vector<std::string> out = {"apply", "-input=false", "-no-color", "-backup=-"};
  if (!events_path.empty())
    out.push_back("-json-into=" + events_path);
  else if (job.structured_output)
    out.push_back("-json");
  out.push_back(plan_path);
  return out;
}

std::string log_header(const Job& job) {
  std::string engine = job.engine == "opentofu"    ? "OpenTofu"
                       : job.engine == "terraform" ? "Terraform"
                                                   : job.engine;
  std::string out =
      engine + " v" + job.engine_version + "\non linux_amd64\nInitializing plugins and modules...\n";
  // Exactly these three lines are dropped from an apply's log by the CLI, so notes stand behind them.
  if (!job.engine_note.empty()) out += job.engine_note + "\n";
  if (!job.plan_note.empty()) out += job.plan_note + "\n";
  return out;
}

}  // namespace terrane::shim
