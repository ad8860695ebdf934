#include "worker_protocol/protocol.h"

#include "base/error.h"
#include "base/text.h"

namespace terrane::worker_protocol {
namespace {

Secret secret_from(const json::object& object, std::string_view key) {
  std::optional<std::string> bytes = from_base64(require_string(object, key));
  if (!bytes) throw Error(Code::invalid, "The member '" + std::string(key) + "' must be base64.");
  return Secret(*std::move(bytes));
}

std::vector<std::string> strings_from(const json::object& object, std::string_view key) {
  std::vector<std::string> out;
  if (const json::array* list = find_array(object, key)) {
    for (const json::value& item : *list) {
      if (item.is_string()) out.emplace_back(item.get_string());
    }
  }
  return out;
}

std::string text_or_empty(const json::object& object, std::string_view key) {
  return find_string(object, key).value_or("");
}

void put(json::object& object, std::string_view key, const std::optional<std::int64_t>& value) {
  if (value) object[key] = *value;
}

}  // namespace

std::string_view name(Phase phase) { return phase == Phase::plan ? "plan" : "apply"; }

std::optional<Phase> phase_from(std::string_view text) {
  for (Phase phase : {Phase::plan, Phase::apply}) {
    if (text == name(phase)) return phase;
  }
  return std::nullopt;
}

std::string_view name(Wish wish) {
  switch (wish) {
    case Wish::none: return "none";
    case Wish::cancel: return "cancel";
    case Wish::force_cancel: return "force_cancel";
  }
  return "none";
}

Wish wish_from(std::string_view text) {
  for (Wish wish : {Wish::cancel, Wish::force_cancel}) {
    if (text == name(wish)) return wish;
  }
  return Wish::none;
}

std::string_view name(Ending ending) {
  switch (ending) {
    case Ending::finished: return "finished";
    case Ending::errored: return "errored";
    case Ending::canceled: return "canceled";
  }
  return "errored";
}

std::optional<Ending> ending_from(std::string_view text) {
  for (Ending ending : {Ending::finished, Ending::errored, Ending::canceled}) {
    if (text == name(ending)) return ending;
  }
  return std::nullopt;
}

json::object to_json(const Slot& slot) {
  return {{"object", slot.object}, {"key", base64(slot.key.reveal())}, {"wrapped", slot.wrapped}};
}

Slot slot_from_json(const json::object& object) {
  return {require_string(object, "object"), secret_from(object, "key"), require_string(object, "wrapped")};
}

json::object to_json(const Job& job) {
  json::array variables;
  for (const Variable& variable : job.variables) {
    variables.push_back(json::object{{"key", variable.key},
                                     {"value", base64(variable.value.reveal())},
                                     {"environment", variable.environment},
                                     {"hcl", variable.hcl}});
  }
  json::array slots;
  for (const Slot& slot : job.slots) slots.push_back(to_json(slot));
  json::object environment;
  for (const auto& [key, value] : job.environment) environment[key] = value;
  return {{"version", version},
          {"id", job.id},
          {"run", job.run},
          {"workspace", job.workspace},
          {"workspace_name", job.workspace_name},
          {"organization", job.organization},
          {"lease", job.lease},
          {"phase", name(job.phase)},
          {"attempt", job.attempt},
          {"epoch", job.epoch},
          {"engine", job.engine},
          {"engine_version", job.engine_version},
          {"engine_note", job.engine_note},
          {"configuration_path", job.configuration_path},
          {"working_directory", job.working_directory},
          {"state_path", job.state_path},
          {"state_serial", job.state_serial},
          {"state_lineage", job.state_lineage},
          {"plan_path", job.plan_path},
          {"plan_note", job.plan_note},
          {"destroy", job.destroy},
          {"refresh", job.refresh},
          {"refresh_only", job.refresh_only},
          {"allow_empty_apply", job.allow_empty_apply},
          {"structured_output", job.structured_output},
          {"targets", json::value_from(job.targets)},
          {"replaces", json::value_from(job.replaces)},
          {"variables", std::move(variables)},
          {"environment", std::move(environment)},
          {"hostname", job.hostname},
          {"run_token", base64(job.run_token.reveal())},
          {"log_object", job.log_object},
          {"log_segment", job.log_segment},
          {"log", to_json(job.log)},
          {"slots", std::move(slots)},
          {"time_limit", job.time_limit.count()},
          {"memory_bytes", job.memory_bytes},
          {"cpus", job.cpus},
          {"processes", job.processes},
          {"disk_bytes", job.disk_bytes},
          {"grace_seconds", job.grace.count()}};
}

Job job_from_json(const json::object& object) {
  Job job;
  job.id = require_string(object, "id");
  job.run = require_string(object, "run");
  job.workspace = require_string(object, "workspace");
  job.workspace_name = require_string(object, "workspace_name");
  job.organization = require_string(object, "organization");
  job.lease = require_string(object, "lease");
  std::optional<Phase> phase = phase_from(require_string(object, "phase"));
  if (!phase) throw Error(Code::invalid, "The member 'phase' must be plan or apply.");
  job.phase = *phase;
  job.attempt = static_cast<int>(require_int(object, "attempt"));
  job.epoch = require_int(object, "epoch");
  job.engine = require_string(object, "engine");
  job.engine_version = require_string(object, "engine_version");
  job.engine_note = text_or_empty(object, "engine_note");
  job.configuration_path = require_string(object, "configuration_path");
  job.working_directory = text_or_empty(object, "working_directory");
  job.state_path = text_or_empty(object, "state_path");
  job.state_serial = find_int(object, "state_serial").value_or(-1);
  job.state_lineage = text_or_empty(object, "state_lineage");
  job.plan_path = text_or_empty(object, "plan_path");
  job.plan_note = text_or_empty(object, "plan_note");
  job.destroy = find_bool(object, "destroy").value_or(false);
  job.refresh = find_bool(object, "refresh").value_or(true);
  job.refresh_only = find_bool(object, "refresh_only").value_or(false);
  job.allow_empty_apply = find_bool(object, "allow_empty_apply").value_or(false);
  job.structured_output = find_bool(object, "structured_output").value_or(false);
  job.targets = strings_from(object, "targets");
  job.replaces = strings_from(object, "replaces");
  if (const json::array* variables = find_array(object, "variables")) {
    for (const json::value& item : *variables) {
      const json::object& variable = item.as_object();
      job.variables.push_back({require_string(variable, "key"), secret_from(variable, "value"),
                               find_bool(variable, "environment").value_or(false),
                               find_bool(variable, "hcl").value_or(false)});
    }
  }
  if (const json::object* environment = find_object(object, "environment")) {
    for (const auto& [key, value] : *environment) {
      if (value.is_string()) job.environment[std::string(key)] = std::string(value.get_string());
    }
  }
  job.hostname = require_string(object, "hostname");
  job.run_token = secret_from(object, "run_token");
  job.log_object = require_string(object, "log_object");
  job.log_segment = static_cast<int>(require_int(object, "log_segment"));
  const json::object* log = find_object(object, "log");
  if (!log) throw Error(Code::invalid, "The member 'log' must be an object.");
  job.log = slot_from_json(*log);
  if (const json::array* slots = find_array(object, "slots")) {
    for (const json::value& item : *slots) job.slots.push_back(slot_from_json(item.as_object()));
  }
  job.time_limit = std::chrono::seconds(require_int(object, "time_limit"));
  job.memory_bytes = require_int(object, "memory_bytes");
  if (const json::value* cpus = object.if_contains("cpus"); cpus && cpus->is_number())
    job.cpus = cpus->to_number<double>();
  job.processes = require_int(object, "processes");
  job.disk_bytes = require_int(object, "disk_bytes");
  job.grace = std::chrono::seconds(find_int(object, "grace_seconds").value_or(0));
  return job;
}

json::object to_json(const Outcome& outcome) {
  json::object out{{"ending", name(outcome.ending)},
                   {"error", outcome.error},
                   {"has_changes", outcome.has_changes},
                   {"generated_configuration", outcome.generated_configuration},
                   {"plan_object", outcome.plan_object},
                   {"json_object", outcome.json_object},
                   {"schemas_object", outcome.schemas_object},
                   {"import_list", outcome.import_list}};
  put(out, "additions", outcome.additions);
  put(out, "changes", outcome.changes);
  put(out, "destructions", outcome.destructions);
  put(out, "imports", outcome.imports);
  return out;
}

Outcome outcome_from_json(const json::object& object) {
  Outcome outcome;
  std::optional<Ending> ending = ending_from(require_string(object, "ending"));
  if (!ending) throw Error(Code::invalid, "The member 'ending' must be finished, errored or canceled.");
  outcome.ending = *ending;
  outcome.error = text_or_empty(object, "error");
  outcome.has_changes = find_bool(object, "has_changes").value_or(false);
  outcome.generated_configuration = find_bool(object, "generated_configuration").value_or(false);
  outcome.additions = find_int(object, "additions");
  outcome.changes = find_int(object, "changes");
  outcome.destructions = find_int(object, "destructions");
  outcome.imports = find_int(object, "imports");
  outcome.plan_object = text_or_empty(object, "plan_object");
  outcome.json_object = text_or_empty(object, "json_object");
  outcome.schemas_object = text_or_empty(object, "schemas_object");
  outcome.import_list = text_or_empty(object, "import_list");
  return outcome;
}

json::object to_json(const State& state) {
  return {{"object", state.object}, {"lineage", state.lineage}, {"md5", state.md5},
          {"serial", state.serial}, {"size", state.size},       {"intermediate", state.intermediate}};
}

State state_from_json(const json::object& object) {
  return {require_string(object, "object"), text_or_empty(object, "lineage"),
          require_string(object, "md5"),    require_int(object, "serial"),
          require_int(object, "size"),      find_bool(object, "intermediate").value_or(true)};
}

}  // namespace terrane::worker_protocol
