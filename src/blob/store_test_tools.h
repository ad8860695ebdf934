#pragma once
#include <filesystem>
#include <optional>
#include <stdlib.h>
#include <string>
#include <vector>

#include "blob/store.h"

namespace terrane::blob {

/// A directory that goes with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    char name[] = "/tmp/terrane-blob-XXXXXX";
    path_ = mkdtemp(name);
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

/// Bytes whose every position can be told from its neighbours.
inline std::string pattern(std::size_t size, unsigned seed = 0) {
  std::string text(size, '\0');
  for (std::size_t i = 0; i < size; ++i) text[i] = static_cast<char>((i * 31 + (i >> 8) + seed) % 251);
  return text;
}

inline Task<> put(Store& store, std::string name, std::string text) {
  auto writer = co_await store.create(std::move(name));
  for (std::string_view rest = text; !rest.empty();
       rest.remove_prefix(std::min<std::size_t>(rest.size(), 100'000))) {
    co_await writer->write(rest.substr(0, 100'000));
  }
  co_await writer->commit();
}

inline Task<std::string> read_all(Store& store, std::string name, std::uint64_t offset = 0) {
  auto reader = co_await store.open(std::move(name), offset);
  std::string text;
  std::vector<char> buffer(300'000);
  while (std::size_t count = co_await reader->read(buffer)) text.append(buffer.data(), count);
  co_return text;
}

/// The code of the error that ends the task; nothing when it succeeds.
template <class T>
Task<std::optional<Code>> failure(Task<T> task) {
  try {
    co_await std::move(task);
  } catch (const Error& error) {
    co_return error.code();
  }
  co_return std::nullopt;
}

/// The size that a refused append tells; nothing when it was not refused so.
inline Task<std::optional<std::uint64_t>> position_conflict(Store& store, std::string name,
                                                            std::uint64_t position, std::string bytes) {
  try {
    co_await store.append(std::move(name), position, std::move(bytes));
  } catch (const PositionConflict& conflict) {
    co_return conflict.size();
  }
  co_return std::nullopt;
}

}  // namespace terrane::blob
