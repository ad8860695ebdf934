#include "worker/kept.h"

#include "base/json.h"
#include "shim/durable.h"
#include "shim/order.h"

namespace terrane::worker {

namespace fs = std::filesystem;

bool KeptDirectories::has(const std::string& run) const {
  std::error_code none;
  return fs::exists(shim::kept_record(records_, run), none);
}

std::optional<std::string> KeptDirectories::take(const std::string& run) const {
  fs::path record = shim::kept_record(records_, run);
  std::optional<std::string> text = shim::read_file(record, 64 * 1024);
  if (!text) return std::nullopt;
  std::error_code none;
  fs::remove(record, none);
  boost::system::error_code broken;
  json::value document = json::parse(*text, broken);
  if (broken || !document.is_object()) return std::nullopt;
  std::optional<std::string> hash = find_string(document.get_object(), "plan_sha256");
  return hash && !hash->empty() ? hash : std::nullopt;
}

std::vector<std::string> KeptDirectories::all() const { return due(std::chrono::seconds(0), 0); }

std::vector<std::string> KeptDirectories::due(std::chrono::seconds age, std::size_t count) const {
  std::vector<std::pair<fs::file_time_type, std::string>> records;
  std::error_code none;
  for (fs::directory_iterator it(records_, none), end; !none && it != end; it.increment(none)) {
    std::error_code gone;
    fs::file_time_type written = it->last_write_time(gone);
    if (!gone && it->path().extension() == ".json") records.emplace_back(written, it->path().stem());
  }
  std::sort(records.begin(), records.end());
  fs::file_time_type oldest = fs::file_time_type::clock::now() - age;
  std::vector<std::string> out;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (records[i].first < oldest || i + count < records.size()) out.push_back(records[i].second);
  }
  return out;
}

}  // namespace terrane::worker
