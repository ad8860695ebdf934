#include "shim/apply_events.h"

#include "base/json.h"
#include "base/text.h"
#include "shim/hcl.h"
#include "shim/run_files.h"

namespace terrane::shim {
namespace {

constexpr std::size_t line_limit = 1024 * 1024;

// Memory comes in pages, and each telling costs a call of the system.
constexpr std::uint64_t worth_telling = 256 * 1024, least_stretch = 8 * 1024;

// Inside of a text quotes are escaped, so only an event's own type reads like this.
bool is_chatter(std::string_view line) {
  return line.find(R"("type":"provision_progress")") != std::string_view::npos;
}

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

// `ADDRESS: Creation complete after 1s [id=ID]`
std::string made_event(std::string_view line) {
  constexpr std::string_view middle = ": Creation complete after ", key = " [id=";
  std::size_t end_of_address = line.find(middle);
  if (end_of_address == std::string_view::npos || !line.ends_with(']')) return {};
  std::size_t id = line.find(key, end_of_address);
  if (id == std::string_view::npos) return {};
  std::string_view value = line.substr(id + key.size());
  value.remove_suffix(1);
  json::object hook{{"resource", {{"addr", line.substr(0, end_of_address)}}},
                    {"action", "create"},
                    {"id_key", "id"},
                    {"id_value", value}};
  return json::serialize(json::object{{"type", "apply_complete"}, {"hook", std::move(hook)}}) + "\n";
}

// `Apply complete! Resources: 1 imported, 1 added, 0 changed, 0 destroyed.`
std::string summary_event(std::string_view line) {
  constexpr std::string_view mark = " complete! Resources: ";
  std::size_t begin = line.find(mark);
  if (begin == std::string_view::npos) return {};
  json::object changes{{"add", 0}, {"change", 0}, {"remove", 0}, {"import", 0}, {"operation", "apply"}};
  std::string_view rest = line.substr(begin + mark.size());
  while (!rest.empty() && rest.back() == '.') rest.remove_suffix(1);
  for (std::string_view part : split(rest, ',')) {
    std::vector<std::string_view> words = split(trim(part), ' ');
    std::optional<std::int64_t> number = words.size() == 2 ? parse_int(words[0]) : std::nullopt;
    if (!number) continue;
    if (words[1] == "added") changes["add"] = *number;
    if (words[1] == "changed") changes["change"] = *number;
    if (words[1] == "destroyed") changes["remove"] = *number;
    if (words[1] == "imported") changes["import"] = *number;
  }
  return json::serialize(json::object{{"type", "change_summary"}, {"changes", std::move(changes)}}) + "\n";
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
  if (type == "diagnostic" && find_string(event.get_object(), "@level").value_or("") == "error")
    events_.error_shown = true;
}

void ChatterFinder::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    std::size_t end = bytes.find('\n');
    std::string_view part = bytes.substr(0, end);
    too_long_ = too_long_ || line_.size() + part.size() > line_limit;
    if (!too_long_) line_ += part;
    position_ += part.size();
    if (end == std::string_view::npos) return;
    ++position_;
    end_line();
    bytes.remove_prefix(end + 1);
  }
}

void ChatterFinder::end_line() {
  // A line that the reader of events passes over is as good as none.
  const bool chatter = too_long_ || is_chatter(line_);
  const std::uint64_t end = chatter ? position_ : position_ - line_.size() - 1;
  const std::uint64_t untold = end - std::min(end, std::max(told_, begin_));
  if (untold >= (chatter ? worth_telling : least_stretch)) {
    on_stretch_(begin_, end);
    told_ = end;
  }
  if (!chatter) begin_ = position_;
  line_.clear();
  too_long_ = false;
}

std::string TextEvents::feed(std::string_view bytes) {
  constexpr std::size_t text_limit = 64 * 1024;
  std::string events;
  while (!bytes.empty()) {
    std::size_t end = bytes.find('\n');
    std::string_view part = bytes.substr(0, end);
    too_long_ = too_long_ || line_.size() + part.size() > text_limit;
    if (!too_long_) line_ += part;
    if (end == std::string_view::npos) break;
    if (!too_long_) events += made_event(line_) + summary_event(line_);
    line_.clear();
    too_long_ = false;
    bytes.remove_prefix(end + 1);
  }
  return events;
}

ApplyEvents read_apply_events(int descriptor) {
  ApplyEventReader reader;
  std::uint64_t position = 0;
  while (std::optional<std::uint64_t> data = next_data(descriptor, position)) {
    std::string piece = read_at(descriptor, *data, 256 * 1024, "the apply's events");
    if (piece.empty()) break;
    reader.feed(piece);
    position = *data + piece.size();
  }
  return reader.events();
}

std::string import_list(const std::vector<Made>& made, const Instances& saved) {
  std::map<std::string, std::string> latest;
  for (const Made& item : made) latest[item.address] = item.id;
  std::string out;
  for (const auto& [address, id] : latest) {
    auto found = saved.find(address);
    if (found != saved.end() && (found->second.contains(id) || found->second.empty())) continue;
    if (found != saved.end()) {
      out += "# The saved state has " + address +
             " with another id: this one replaced it. Remove that one from the state before.\n";
    }
    out += "import {\n  to = " + address + "\n  id = " + hcl_string(id) + "\n}\n";
  }
  return out;
}

}  // namespace terrane::shim
