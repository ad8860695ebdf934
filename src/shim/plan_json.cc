#include "shim/plan_json.h"

#include "shim/json_scan.h"

namespace terrane::shim {

struct PlanCounter::Impl {
  PlanCounts counts, pending;
  bool managed = false;
  std::unique_ptr<JsonScan> scan;

  static bool in_change(JsonScan::Path path) {
    return path.size() >= 2 && path[0] == "resource_changes" && path[1] == "#";
  }

  void begin(JsonScan::Path path) {
    if (!in_change(path)) return;
    if (path.size() == 2) pending = {}, managed = false;
    if (path.size() == 4 && path[2] == "change" && path[3] == "importing") pending.imports = 1;
  }
  void scalar(JsonScan::Path path, const JsonScan::Scalar& value) {
    const std::string_view* text = std::get_if<std::string_view>(&value);
    if (!text || !in_change(path)) return;
    if (path.size() == 3 && path[2] == "mode") managed = *text == "managed";
    if (path.size() != 5 || path[2] != "change" || path[3] != "actions") return;
    if (*text == "create") pending.additions = 1;
    if (*text == "update") pending.changes = 1;
    if (*text == "delete") pending.destructions = 1;
  }
  void end(JsonScan::Path path) {
    if (!in_change(path) || path.size() != 2 || !managed) return;
    counts.additions += pending.additions;
    counts.changes += pending.changes;
    counts.destructions += pending.destructions;
    counts.imports += pending.imports;
  }
};

PlanCounter::PlanCounter() : impl_(new Impl) {
  Impl* impl = impl_.get();
  impl->scan = std::make_unique<JsonScan>(
      5, JsonScan::Callbacks{.scalar = [impl](JsonScan::Path path,
                                              const JsonScan::Scalar& value) { impl->scalar(path, value); },
                             .begin = [impl](JsonScan::Path path) { impl->begin(path); },
                             .end = [impl](JsonScan::Path path) { impl->end(path); }});
}
PlanCounter::~PlanCounter() = default;

void PlanCounter::feed(std::string_view bytes) { impl_->scan->feed(bytes); }
bool PlanCounter::finish() { return impl_->scan->finish(); }
const PlanCounts& PlanCounter::counts() const noexcept { return impl_->counts; }

}  // namespace terrane::shim
