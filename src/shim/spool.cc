#include "shim/spool.h"

#include <cerrno>
#include <cstring>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "shim/durable.h"
#include "shim/layout.h"

namespace terrane::shim {
namespace {

namespace fs = std::filesystem;
using worker_protocol::Outcome;
using worker_protocol::State;

constexpr std::size_t document_limit = 16 * 1024 * 1024;  // an import list may be long
constexpr std::size_t refused_kept = 20;
// Before a job's id: its spool on the way in, and on the way out.
const std::string making = ".new-", removing = ".gone-";

void make_directory(const fs::path& path) {
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    throw Error(Code::internal, "Making " + path.string() + " failed: " + std::strerror(errno) + ".");
  }
}

std::optional<json::object> read_document(const fs::path& path) {
  std::optional<std::string> text = read_file(path, document_limit);
  if (!text) return std::nullopt;
  json::value value = parse_json(*text);
  if (!value.is_object()) throw Error(Code::invalid, path.string() + " is no JSON object.");
  return value.get_object();
}

// Ids come from the control plane and become names of files.
const std::string& plain_name(const std::string& id) {
  bool plain = !id.empty() && id.size() <= 128 && id.front() != '.' &&
               std::all_of(id.begin(), id.end(), [](unsigned char c) {
                 return std::isalnum(c) || c == '-' || c == '_' || c == '.';
               });
  if (!plain) throw Error(Code::invalid, "\"" + id.substr(0, 128) + "\" is no id.");
  return id;
}

json::object to_json(const SpoolMeta& meta) {
  return {{"version", SpoolMeta::version},
          {"job", meta.job},
          {"run", meta.run},
          {"workspace", meta.workspace},
          {"lease", meta.lease},
          {"phase", worker_protocol::name(meta.phase)},
          {"attempt", meta.attempt},
          {"log_object", meta.log_object},
          {"log_segment", meta.log_segment},
          {"lineage", meta.lineage},
          {"serial", meta.serial},
          {"state_file", meta.state_file},
          {"events_file", meta.events_file}};
}

SpoolMeta meta_from(const json::object& object) {
  if (require_int(object, "version") > SpoolMeta::version)
    throw Error(Code::invalid, "The spool is of a newer version.");
  SpoolMeta meta;
  meta.job = require_string(object, "job");
  meta.run = require_string(object, "run");
  meta.workspace = require_string(object, "workspace");
  meta.lease = require_string(object, "lease");
  meta.log_object = require_string(object, "log_object");
  std::optional<worker_protocol::Phase> phase = worker_protocol::phase_from(require_string(object, "phase"));
  if (!phase) throw Error(Code::invalid, "The spool's phase is unknown.");
  meta.phase = *phase;
  meta.attempt = static_cast<int>(require_int(object, "attempt"));
  meta.log_segment = static_cast<int>(require_int(object, "log_segment"));
  meta.lineage = require_string(object, "lineage");
  meta.serial = require_int(object, "serial");
  meta.state_file = require_string(object, "state_file");
  meta.events_file = require_string(object, "events_file");
  return meta;
}

// The stems of the complete pairs STEM.sealed and STEM.json.
std::vector<std::string> stems(const fs::path& directory) {
  std::vector<std::string> found;
  std::error_code none;
  for (fs::directory_iterator it(directory, none), end; !none && it != end; it.increment(none)) {
    fs::path path = it->path();
    if (path.extension() == ".json" && fs::exists(fs::path(path).replace_extension(".sealed")))
      found.push_back(path.stem());
  }
  return found;
}

fs::path document_of(const fs::path& sealed) { return fs::path(sealed).replace_extension(".json"); }

// The document goes first: without it the sealed file is nothing.
void drop_pair(const fs::path& sealed) {
  ::unlink(document_of(sealed).c_str());
  ::unlink(sealed.c_str());
}

}  // namespace

SpoolMeta SpoolMeta::of(const worker_protocol::Job& job) {
  SpoolMeta meta;
  meta.job = job.id;
  meta.run = job.run;
  meta.workspace = job.workspace;
  meta.lease = job.lease;
  meta.log_object = job.log_object;
  meta.phase = job.phase;
  meta.attempt = job.attempt;
  meta.log_segment = job.log_segment;
  meta.lineage = job.state_lineage;
  meta.serial = job.state_serial;
  meta.state_file = state_file_of(job);
  meta.events_file = shim::events_file;
  return meta;
}

Spool Spool::create(const fs::path& root, const SpoolMeta& meta) {
  fs::path directory = root / plain_name(meta.job), fresh = root / (making + meta.job);
  if (fs::exists(directory)) throw Error(Code::conflict, "The job " + meta.job + " has a spool already.");
  fs::remove_all(fresh);
  make_directory(fresh);
  make_directory(fresh / "states");
  make_directory(fresh / "objects");
  write_durably(fresh / "meta.json", json::serialize(to_json(meta)));
  if (::rename(fresh.c_str(), directory.c_str()) != 0) {
    throw Error(Code::internal, "Renaming " + fresh.string() + " failed: " + std::strerror(errno) + ".");
  }
  sync_directory(root);
  return Spool(directory, meta);
}

Spool Spool::open(const fs::path& directory) {
  std::optional<json::object> document = read_document(directory / "meta.json");
  if (!document) throw Error(Code::invalid, directory.string() + " has no meta.json.");
  return Spool(directory, meta_from(*document));
}

void Spool::clear_remains(const fs::path& root) {
  std::vector<fs::path> found;
  std::error_code none;
  for (fs::directory_iterator it(root, none), end; !none && it != end; it.increment(none)) {
    std::string name = it->path().filename();
    if (name.starts_with(making) || name.starts_with(removing)) found.push_back(it->path());
  }
  for (const fs::path& path : found) fs::remove_all(path, none);
}

std::vector<std::string> Spool::jobs(const fs::path& root) {
  std::vector<std::string> found;
  std::error_code none;
  for (fs::directory_iterator it(root, none), end; !none && it != end; it.increment(none)) {
    std::string name = it->path().filename();
    if (!name.starts_with('.') && it->is_directory(none)) found.push_back(name);
  }
  std::sort(found.begin(), found.end());
  return found;
}

void Spool::mark_started() const { write_durably(directory_ / "started", ""); }
bool Spool::started() const { return fs::exists(directory_ / "started"); }

std::int64_t Spool::begin_salvage() const {
  std::optional<std::string> text = read_file(directory_ / "salvages", 100);
  std::int64_t number = (text ? parse_int(trim(*text)).value_or(0) : 0) + 1;
  write_durably(directory_ / "salvages", std::to_string(number));
  return number;
}

void Spool::write_result(const Outcome& outcome) const {
  write_durably(directory_ / "result.json", json::serialize(worker_protocol::to_json(outcome)));
}

std::optional<Outcome> Spool::result() const {
  std::optional<json::object> document = read_document(directory_ / "result.json");
  if (!document) return std::nullopt;
  return worker_protocol::outcome_from_json(*document);
}

SpooledState Spool::next_state(const State& state) const {
  std::uint64_t number = 1;
  // Also numbers whose document is missing are taken: their file may be half written.
  std::error_code none;
  for (fs::directory_iterator it(directory_ / "states", none), end; !none && it != end; it.increment(none)) {
    std::string stem = it->path().filename();
    std::optional<std::int64_t> used = parse_int(std::string_view(stem).substr(0, stem.find('.')));
    if (used && *used > 0) number = std::max(number, static_cast<std::uint64_t>(*used) + 1);
  }
  return {number, state, directory_ / "states" / (std::to_string(number) + ".sealed")};
}

void Spool::add_state(const SpooledState& spooled) const {
  write_durably(document_of(spooled.file), json::serialize(worker_protocol::to_json(spooled.state)));
}

std::vector<SpooledState> Spool::states() const {
  std::vector<SpooledState> found;
  for (const std::string& stem : stems(directory_ / "states")) {
    std::optional<std::int64_t> number = parse_int(stem);
    std::optional<json::object> document = read_document(directory_ / "states" / (stem + ".json"));
    if (!number || !document) continue;
    found.push_back({static_cast<std::uint64_t>(*number), worker_protocol::state_from_json(*document),
                     directory_ / "states" / (stem + ".sealed")});
  }
  std::sort(found.begin(), found.end(),
            [](const SpooledState& a, const SpooledState& b) { return a.number < b.number; });
  return found;
}

void Spool::acknowledge(const SpooledState& spooled) const {
  write_durably(directory_ / "acknowledged.json", json::serialize(worker_protocol::to_json(spooled.state)));
  drop(spooled);
}

void Spool::drop(const SpooledState& spooled) const { drop_pair(spooled.file); }

std::optional<State> Spool::acknowledged() const {
  std::optional<json::object> document = read_document(directory_ / "acknowledged.json");
  if (!document) return std::nullopt;
  return worker_protocol::state_from_json(*document);
}

SpooledObject Spool::next_object(const std::string& object, const std::string& kind) const {
  return {object, kind, directory_ / "objects" / (plain_name(object) + ".sealed")};
}

void Spool::add_object(const SpooledObject& spooled) const {
  write_durably(document_of(spooled.file),
                json::serialize(json::object{{"object", spooled.object}, {"kind", spooled.kind}}));
}

std::vector<SpooledObject> Spool::objects() const {
  std::vector<SpooledObject> found;
  for (const std::string& stem : stems(directory_ / "objects")) {
    std::optional<json::object> document = read_document(directory_ / "objects" / (stem + ".json"));
    if (document)
      found.push_back(next_object(require_string(*document, "object"), require_string(*document, "kind")));
  }
  return found;
}

void Spool::drop(const SpooledObject& spooled) const { drop_pair(spooled.file); }

void Spool::remove() const {
  // Renamed first: a half removed directory must not look like a job.
  fs::path gone = directory_.parent_path() / (removing + meta_.job);
  std::error_code none;
  fs::remove_all(gone, none);
  fs::rename(directory_, gone, none);
  fs::remove_all(none ? directory_ : gone, none);
}

void Spool::set_aside() const {
  fs::path refused = directory_.parent_path() / ".refused";
  make_directory(refused);
  std::vector<std::string> kept;
  for (const fs::directory_entry& entry : fs::directory_iterator(refused))
    kept.push_back(entry.path().filename());
  std::sort(kept.begin(), kept.end());
  std::error_code none;
  // Names begin with the time, so the first is the oldest.
  for (std::size_t i = 0; i + refused_kept <= kept.size(); ++i) fs::remove_all(refused / kept[i], none);
  fs::rename(directory_, refused / (iso8601(now()) + "-" + meta_.job), none);
  if (none) remove();
}

}  // namespace terrane::shim
