#include "shim/state_file.h"

#include <functional>

#include "base/text.h"
#include "crypto/hash.h"
#include "shim/hcl.h"
#include "shim/json_scan.h"
#include "shim/run_files.h"

namespace terrane::shim {
namespace {

constexpr std::size_t piece_size = 256 * 1024;

// Feeds the file to `take` until its end or until that returns false.
std::int64_t for_each_piece(int descriptor, const std::function<bool(std::string_view)>& take) {
  std::uint64_t position = 0;
  while (true) {
    std::string piece = read_at(descriptor, position, piece_size, "a state");
    if (piece.empty() || !take(piece)) return static_cast<std::int64_t>(position);
    position += piece.size();
  }
}

const std::string_view* text_of(const JsonScan::Scalar& value) {
  return std::get_if<std::string_view>(&value);
}

/// Collects the instances of one resource after the other; a state's writer puts a resource's name before its
/// instances, but nothing here depends on it.
class InstanceCollector {
 public:
  explicit InstanceCollector(Instances& out) : out_(out) {}

  void begin(JsonScan::Path path) {
    if (!in_resources(path)) return;
    if (path.size() == 2) resource_ = {};
    if (path.size() == 4 && path[2] == "instances") resource_.instances.emplace_back();
  }
  void end(JsonScan::Path path) {
    if (in_resources(path) && path.size() == 2) add();
  }
  void scalar(JsonScan::Path path, const JsonScan::Scalar& value) {
    if (!in_resources(path)) return;
    if (path.size() == 3) member(path[2], value);
    bool in_instance = path.size() >= 5 && path[2] == "instances" && !resource_.instances.empty();
    if (!in_instance) return;
    if (path.size() == 5 && path[4] == "index_key") resource_.instances.back().key = key_of(value);
    if (path.size() == 6 && path[4] == "attributes" && path[5] == "id") {
      if (const std::string_view* id = text_of(value)) resource_.instances.back().id = std::string(*id);
    }
  }

 private:
  struct Instance {
    std::string key;
    std::optional<std::string> id;
  };
  struct Resource {
    std::string module, mode, type, name;
    std::vector<Instance> instances;
  };

  static bool in_resources(JsonScan::Path path) {
    return path.size() >= 2 && path[0] == "resources" && path[1] == "#";
  }

  static std::string key_of(const JsonScan::Scalar& value) {
    if (const std::string_view* text = text_of(value)) return "[" + hcl_string(*text) + "]";
    if (const std::int64_t* number = std::get_if<std::int64_t>(&value))
      return "[" + std::to_string(*number) + "]";
    return {};
  }
  void member(const std::string& key, const JsonScan::Scalar& value) {
    const std::string_view* text = text_of(value);
    if (!text) return;
    if (key == "module") resource_.module = *text;
    if (key == "mode") resource_.mode = *text;
    if (key == "type") resource_.type = *text;
    if (key == "name") resource_.name = *text;
  }
  void add() {
    std::string address = resource_.module.empty() ? "" : resource_.module + ".";
    if (resource_.mode == "data") address += "data.";
    address += resource_.type + "." + resource_.name;
    for (Instance& instance : resource_.instances) {
      std::set<std::string>& ids = out_[address + instance.key];
      if (instance.id) ids.insert(*std::move(instance.id));
    }
  }

  Instances& out_;
  Resource resource_;
};

}  // namespace

std::optional<StateFacts> read_state(int descriptor) {
  StateFacts facts;
  bool serial = false;
  JsonScan scan(1, {.scalar =
                        [&](JsonScan::Path path, const JsonScan::Scalar& value) {
                          if (path.size() != 1) return;
                          if (const std::string_view* text = text_of(value); text && path[0] == "lineage")
                            facts.lineage = *text;
                          const std::int64_t* number = std::get_if<std::int64_t>(&value);
                          if (!number || path[0] != "serial" || *number < 0) return;
                          facts.serial = *number;
                          serial = true;
                        },
                    .begin = {},
                    .end = {}});
  crypto::Hasher md5(crypto::HashKind::md5);
  facts.size = for_each_piece(descriptor, [&](std::string_view piece) {
    md5.update(piece);
    return scan.feed(piece);
  });
  if (!scan.finish() || !serial || facts.lineage.empty()) return std::nullopt;
  facts.md5 = hex(md5.finish());
  return facts;
}

bool may_follow(const StateFacts& state, const std::string& lineage, std::int64_t serial) {
  return (lineage.empty() || state.lineage == lineage) && state.serial >= serial;
}

struct InstanceReader::Impl {
  Instances instances;
  InstanceCollector collector{instances};
  JsonScan scan{6,
                {.scalar = [this](JsonScan::Path path,
                                  const JsonScan::Scalar& value) { collector.scalar(path, value); },
                 .begin = [this](JsonScan::Path path) { collector.begin(path); },
                 .end = [this](JsonScan::Path path) { collector.end(path); }}};
};

InstanceReader::InstanceReader() : impl_(new Impl) {}
InstanceReader::~InstanceReader() = default;
void InstanceReader::feed(std::string_view bytes) { impl_->scan.feed(bytes); }
const Instances& InstanceReader::instances() const noexcept { return impl_->instances; }

Instances read_instances(int descriptor) {
  InstanceReader reader;
  for_each_piece(descriptor, [&](std::string_view piece) {
    reader.feed(piece);
    return true;
  });
  return reader.instances();
}

}  // namespace terrane::shim
