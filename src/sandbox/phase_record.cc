#include "sandbox/phase_record.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "sandbox/broker_protocol.h"
#include "sandbox/descriptor.h"

namespace terrane::sandbox {

namespace fs = std::filesystem;

void PhaseRecords::save(const PhaseRecord& record) const {
  json::object document{{"version", 1},
                        {"phase", record.phase},
                        {"run", record.run},
                        {"cgroups", record.cgroups},
                        {"uid", record.uid},
                        {"shim", record.shim},
                        {"shim_start", static_cast<std::int64_t>(record.shim_start)},
                        {"grace", record.grace.count()},
                        {"ended", record.ended},
                        {"limits", to_json(record.limits)}};
  fs::path fresh = directory_ / ("." + record.phase + ".new");
  unlink(fresh.c_str());
  Descriptor file = checked(open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600),
                            "Making the record of a phase");
  std::string text = json::serialize(document);
  if (write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()))
    fail("Writing the record of a phase");
  if (rename(fresh.c_str(), (directory_ / record.phase).c_str()) != 0) fail("Renaming the record of a phase");
}

void PhaseRecords::remove(const std::string& phase) const { unlink((directory_ / phase).c_str()); }

std::vector<PhaseRecord> PhaseRecords::load() const {
  std::vector<PhaseRecord> records;
  for (const fs::directory_entry& entry : fs::directory_iterator(directory_)) {
    if (!is_safe_name(entry.path().filename().string())) continue;
    try {
      json::value document = parse_json(read_small_file(entry.path()).value_or(""));
      const json::object& object = document.as_object();
      PhaseRecord record;
      record.phase = require_string(object, "phase");
      record.run = require_string(object, "run");
      record.cgroups = require_string(object, "cgroups");
      record.uid = static_cast<uid_t>(require_int(object, "uid"));
      record.shim = static_cast<pid_t>(require_int(object, "shim"));
      record.shim_start = static_cast<std::uint64_t>(require_int(object, "shim_start"));
      record.grace = std::chrono::seconds(require_int(object, "grace"));
      record.ended = find_bool(object, "ended").value_or(false);
      if (const json::object* limits = find_object(object, "limits")) record.limits = parse_limits(*limits);
      records.push_back(std::move(record));
    } catch (const std::exception& failure) {
      log::error("the record of a phase cannot be read",
                 {{"file", entry.path().string()}, {"error", failure.what()}});
    }
  }
  return records;
}

}  // namespace terrane::sandbox
