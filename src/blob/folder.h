#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace terrane::blob {

/// An open file; closed when it is destroyed. Everything here blocks.
class File {
 public:
  File() = default;
  explicit File(int descriptor) noexcept : descriptor_(descriptor) {}
  File(File&& other) noexcept;
  File& operator=(File&& other) noexcept;
  ~File();

  int descriptor() const noexcept { return descriptor_; }
  bool is_open() const noexcept { return descriptor_ >= 0; }
  void close() noexcept;

 private:
  int descriptor_ = -1;
};

/// What a store wants to know of a file.
struct FileStatus {
  std::uint64_t size = 0;
  bool sealed = false;   ///< it has lost its write permission: an object, or a log that is finished
  bool removed = false;  ///< it has no name any more
};

/// Throws what the last system call's `errno` means to a caller: Error{unavailable}, which says so when the
/// disk is full.
[[noreturn]] void throw_errno(std::string_view step, std::string_view name, int error);

FileStatus status(const File& file, std::string_view name);
void write_at(const File& file, std::uint64_t position, std::string_view bytes, std::string_view name);
/// Takes the write permission away and makes bytes and permission durable.
void seal(const File& file, std::string_view name);

/// The folders of a store: `objects/` with everything that has a name, `incoming/` with what is being
/// written. Safe from several threads and several processes at once. Everything here blocks.
class Folder {
 public:
  /// Makes the folders, and sweeps from `incoming/` what no living writer holds.
  explicit Folder(const std::filesystem::path& path);

  /// A fresh file in `incoming/`, locked by its descriptor as long as it is being written.
  File create_incoming(std::string& file_name) const;
  void remove_incoming(const std::string& file_name) const noexcept;
  /// Gives the file its name in `objects/`, durably. Throws Error{conflict} when the name is taken.
  void publish(const std::string& file_name, const std::string& name) const;

  /// Opens an object or log, for writing where its permission allows; nothing when there is none.
  std::optional<File> open(const std::string& name) const;
  /// Opens a log, makes an empty one when there is none.
  File open_or_make(const std::string& name) const;
  /// The size of an object or log; nothing when there is none.
  std::optional<std::uint64_t> size(const std::string& name) const;
  /// Removes the name durably; nothing happens when there is none.
  void remove(const std::string& name) const;
  /// As Store::list. Its memory is that of a page and of the largest folder's names.
  std::vector<std::string> list(const std::string& prefix, const std::string& after, std::size_t limit) const;
  /// Makes the names in the folder of `name` durable.
  void sync_parent(const std::string& name) const;
  /// Bytes that may still be written.
  std::uint64_t available() const;

 private:
  void make_parents(const std::string& name) const;
  std::vector<std::string> entries(const std::string& folder) const;
  void list_into(const std::string& folder, const std::string& after, std::size_t limit,
                 std::vector<std::string>& names) const;
  void sweep() const;
  File incoming_;
  File objects_;
};

}  // namespace terrane::blob
