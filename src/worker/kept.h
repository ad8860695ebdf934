#pragma once
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace terrane::worker {

/// The run directories that plan phases left for their applies: KEPT/RUN.json, written by the shim. The
/// directory of records survives the worker.
class KeptDirectories {
 public:
  explicit KeptDirectories(std::filesystem::path records) : records_(std::move(records)) {}

  /// Whether the run's directory is kept.
  bool has(const std::string& run) const;
  /// Takes the record off and returns the plan file's hash; nothing when the directory is not kept. Broken
  /// records count as none.
  std::optional<std::string> take(const std::string& run) const;
  /// The runs whose directories are kept.
  std::vector<std::string> all() const;
  /// The runs whose directories are due to go: older than `age`, and the oldest above `count`. Their records
  /// stay until `take`.
  std::vector<std::string> due(std::chrono::seconds age, std::size_t count) const;

 private:
  std::filesystem::path records_;
};

}  // namespace terrane::worker
