#include "shim/apply_events.h"

#include "base/json.h"
#include "shim/hcl.h"
#include "shim/run_files.h"

namespace terrane::shim {
namespace {

constexpr std::size_t line_limit = 1024 * 1024;

// The summary at the end is the engine's own word and replaces what was counted so far.
void take_summary(const json::object& event, ApplyEvents& events) {
  const json::object* changes = find_object(event, "changes");
  if (!changes || find_string(*changes, "operation").value_or("") == "plan") return;
  events.additions = find_int(*changes, "add").value_or(events.additions);
  events.changes = find_int(*changes, "change").value_or(events.changes);
  events.destructions = find_int(*changes, "remove").value_or(events.destructions);
  events.imports = find_int(*changes, "import").value_or(0);
}

void take_completed(const json::object& event, ApplyEvents& events) {
  const json::object* hook = find_object(event, "hook");
  const json::object* resource = hook ? find_object(*hook, "resource") : nullptr;
  if (!resource) return;
  std::string action = find_string(*hook, "action").value_or("");
  if (action == "create") ++events.additions;
  if (action == "update") ++events.changes;
  if (action == "delete") ++events.destructions;
  std::optional<std::string> address = find_string(*resource, "addr"), id = find_string(*hook, "id_value");
  if (action == "create" && address && id && !id->empty()) events.made.push_back({*address, *id});
}

}  // namespace

void ApplyEventReader::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t end = bytes.find('\n');
    std::string_view part = bytes.substr(0, end);
    too_long_ = too_long_ || line_.size() + part.size() > line_limit;
    if (!too_long_) line_ += part;
    if (end == std::string_view::npos) return;
    if (!too_long_) take_line(line_);
    line_.clear();
    too_long_ = false;
    bytes.remove_prefix(end + 1);
  }
}

void ApplyEventReader::take_line(std::string_view line) {
  boost::system::error_code broken;
  json::value event = json::parse(line, broken);
  if (broken || !event.is_object()) return;
  std::string type = find_string(event.get_object(), "type").value_or("");
  if (type == "apply_complete") take_completed(event.get_object(), events_);
  if (type == "change_summary") take_summary(event.get_object(), events_);
  if (type == "diagnostic" && find_string(event.get_object(), "@level").value_or("") == "error") events_.error_shown = true;
}

ApplyEvents read_apply_events(int descriptor) {
  ApplyEventReader reader;
  std::uint64_t position = 0;
  while (true) {
    std::string piece = read_at(descriptor, position, 256 * 1024, "the apply's events");
    if (piece.empty()) return reader.events();
    reader.feed(piece);
    position += piece.size();
  }
}

std::string import_list(const std::vector<Made>& made, const Instances& saved) {
  std::map<std::string, std::string> latest;
  for (const Made& item : made) latest[item.address] = item.id;
  std::string out;
  for (const auto& [address, id] : latest) {
    auto found = saved.find(address);
    if (found != saved.end() && (found->second.contains(id) || found->second.empty())) continue;
    if (found != saved.end()) {
      out += "# The saved state has " + address + " with another id: this one replaced it. Remove that one from the state before.\n";
    }
    out += "import {\n  to = " + address + "\n  id = " + hcl_string(id) + "\n}\n";
  }
  return out;
}

}  // namespace terrane::shim
