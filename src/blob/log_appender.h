#pragma once
#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#include "blob/folder.h"

namespace terrane::blob {

/// One append and, after `append_all`, its outcome.
struct Append {
  std::string name;
  std::uint64_t position = 0;
  std::string bytes;
  std::uint64_t size = 0;      ///< the log's size when the bytes are durable
  std::exception_ptr failure;  ///< what Store::append throws
};

/// Does many appends and makes them durable together: each file is synced once however many appends it got,
/// and many files share one sync of the file system. Blocks. Several processes may append to the same logs.
void append_all(const Folder& folder, std::uint64_t reserve, std::vector<Append>& appends) noexcept;

}  // namespace terrane::blob
