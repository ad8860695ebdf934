#pragma once
#include <filesystem>
#include <string>
#include <string_view>
#include <sys/types.h>

namespace terrane::net {

/// The whole of a file of at most `limit` bytes. Throws Error{invalid} that names the file and errno,
/// Error{too_large} above the limit.
std::string read_file(const std::filesystem::path& path, std::size_t limit);

/// Who may see a file that is written.
struct FileOwner {
  mode_t mode = 0600;
  uid_t uid = static_cast<uid_t>(-1);  ///< -1: as it comes
  gid_t gid = static_cast<gid_t>(-1);
};

/// Writes a file so that after a crash either the old or the new content is there: a temporary beside it,
/// fsync, rename, fsync of the directory. It never exists with wider permissions. Throws Error{internal} that
/// names the step and errno.
void write_file(const std::filesystem::path& path, std::string_view content, FileOwner owner = {});

/// Makes a directory (and its parents, as 0755) or takes it as it is, and gives it mode and owner.
void make_directory(const std::filesystem::path& path, FileOwner owner);

}  // namespace terrane::net
