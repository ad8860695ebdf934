#include "sandbox/limits.h"

namespace terrane::sandbox {

std::string LimitsHit::describe() const {
  std::string text;
  auto add = [&text](const std::string& part) { text += text.empty() ? part : "; " + part; };
  if (memory_kills > 0) {
    add("the memory limit was hit (" + std::to_string(memory_kills) +
        (memory_kills == 1 ? " process" : " processes") + " killed)");
  }
  if (refused_processes > 0)
    add("the limit of processes was hit (" + std::to_string(refused_processes) + " not started)");
  if (storage_full) add("the size limit of the run directory was hit");
  if (text.empty()) return text;
  text[0] = 'T';
  return text + ".";
}

}  // namespace terrane::sandbox
