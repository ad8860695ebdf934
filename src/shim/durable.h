#pragma once
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "sealed/header.h"

/// Files that must be whole after any crash. All block shortly (fsync) and throw Error{internal} that names
/// file and cause.
namespace terrane::shim {

/// Replaces a file by its new content, durably: new file, fsync, rename, fsync of the directory. Mode 0600.
void write_durably(const std::filesystem::path& path, std::string_view content);
/// Replaces a file by its new content, whole or not at all while the machine lives.
void write_whole(const std::filesystem::path& path, std::string_view content);
/// fsync of a directory, so that its names are durable.
void sync_directory(const std::filesystem::path& directory);
/// The content of a file of at most `limit` bytes; nothing when there is none.
std::optional<std::string> read_file(const std::filesystem::path& path, std::size_t limit);

/// A sealed object on its way into a file. Without `commit` nothing stays.
class SealedFile {
 public:
  /// Throws Error{invalid} when the identity does not fit a header.
  SealedFile(std::filesystem::path path, const sealed::DataKey& key, const sealed::Identity& identity);
  ~SealedFile();
  SealedFile(const SealedFile&) = delete;
  SealedFile& operator=(const SealedFile&) = delete;

  void write(std::string_view plaintext);
  /// Ends the object and makes it durable under its name.
  void commit();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace terrane::shim
