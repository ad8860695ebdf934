#pragma once
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>

#include "sandbox/descriptor.h"

namespace terrane::shim {

/// Whether a file may say to be larger than its whole file system: then it has holes, which cost its writer
/// nothing, and its reader hours unless it passes over them (`next_data`).
enum class Holes { refused, allowed };

/// The files of a run directory as shim and worker touch them. Processes of the sandbox may change anything
/// in there at any moment, so no name leads out of the directory, and nothing but a regular file is read.
/// Names are relative to the directory. All calls throw Error{internal} that names file and cause when the
/// system refuses.
class RunFiles {
 public:
  explicit RunFiles(const std::filesystem::path& root);

  /// Opens a regular file for reading; nothing when there is none (or something else of that name).
  std::optional<sandbox::Descriptor> open(std::string_view name, Holes holes = Holes::refused) const;
  /// The content of a regular file of at most `limit` bytes; nothing when there is none or it is larger.
  std::optional<std::string> read(std::string_view name, std::size_t limit) const;
  /// Opens an empty file for writing, whatever stood there before; the run's group may read and write it.
  sandbox::Descriptor create(std::string_view name) const;
  /// Writes a whole file as `create`.
  void write(std::string_view name, std::string_view content) const;
  /// Makes a directory and those above it for the run's group; one that exists stays as it is.
  void make_directories(std::string_view name) const;
  /// Moves a file over whatever file stands at `to`.
  void move(std::string_view from, std::string_view to) const;
  /// Removes a file; one that is not there is none.
  void remove(std::string_view name) const;
  /// Sets memory aside behind the end of a file of ours, so that at least `bytes` more can be written when
  /// the directory is full. Truncating the file gives them back. It is a precaution: nothing happens when
  /// there is no such file or no room.
  void reserve(std::string_view name, std::uint64_t bytes) const;
  /// Gives back the memory of a part of a file, which then reads as zeros. Nothing happens when there is no
  /// such file.
  void give_back(std::string_view name, std::uint64_t begin, std::uint64_t size) const;
  /// How much may still be written: bytes, 0 also when no more files can be made.
  std::uint64_t room() const;
  /// What stands there, without following a last link; nothing when nothing does.
  std::optional<struct stat> look(std::string_view name) const;

 private:
  int open_beneath(std::string_view name, std::uint64_t flags, std::uint64_t mode) const;
  sandbox::Descriptor parent_of(std::string_view name) const;
  sandbox::Descriptor root_;
};

/// Writes everything to a descriptor. Throws Error{internal} that names `what` and the cause.
void write_fully(int descriptor, std::string_view bytes, std::string_view what);
/// Reads from `offset` as much as is there, at most `size` bytes. Throws as `write_fully`.
std::string read_at(int descriptor, std::uint64_t offset, std::size_t size, std::string_view what);
/// Where a file has bytes at `offset` or next behind it, holes left out; nothing at its end.
std::optional<std::uint64_t> next_data(int descriptor, std::uint64_t offset);

}  // namespace terrane::shim
