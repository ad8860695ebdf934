#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "worker_protocol/protocol.h"

namespace terrane::shim {

/// What a state file says about itself.
struct StateFacts {
  std::string lineage;
  std::string md5;  ///< of the file, hexadecimal
  std::int64_t serial = 0;
  std::int64_t size = 0;
};

/// Reads a state file with constant memory; nothing when it is no complete state: one JSON document with
/// lineage and serial. Blocks, so call it through net::blocking when the file may be large.
std::optional<StateFacts> read_state(int descriptor);

/// Whether a state may follow the one that is known (serial -1 and empty lineage: none): same lineage, serial
/// not smaller.
bool may_follow(const StateFacts& state, const std::string& lineage, std::int64_t serial);

/// The resource instances of a state: address to the values of their `id` attributes (several when some are
/// deposed; none when it has none).
using Instances = std::map<std::string, std::set<std::string>>;

/// Collects the instances while a state file passes by, with memory for addresses and ids only; what is
/// broken ends the list.
class InstanceReader {
 public:
  InstanceReader();
  ~InstanceReader();
  void feed(std::string_view bytes);
  const Instances& instances() const noexcept;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// Reads the instances of a whole file. It blocks.
Instances read_instances(int descriptor);

}  // namespace terrane::shim
