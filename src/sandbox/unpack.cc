#include "sandbox/unpack.h"

#include <algorithm>
#include <archive.h>
#include <archive_entry.h>
#include <clocale>
#include <cstdio>
#include <optional>
#include <set>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace terrane::sandbox {
namespace {

struct FreeReader {
  void operator()(archive* a) const { archive_read_free(a); }
};
struct FreeWriter {
  void operator()(archive* a) const { archive_write_free(a); }
};

// A name as it can stand in one line of a log.
std::string shown(std::string_view name) {
  std::string out = "\"";
  for (char c : name.substr(0, 300)) out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  return out + "\"";
}

[[noreturn]] void refuse(std::string_view name, std::string_view reason) {
  throw Error(Code::invalid,
              "The configuration's archive is refused: " + shown(name) + " " + std::string(reason) + ".");
}

// The path without "." and doubled slashes; nothing when it is absolute or has "..".
std::optional<std::string> plain_path(std::string_view path) {
  if (path.starts_with('/')) return std::nullopt;
  std::string out;
  for (std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") continue;
    if (part == "..") return std::nullopt;
    if (!out.empty()) out += '/';
    out += part;
  }
  return out;
}

// Whether a symbolic link at `path` (plain) with this target stays inside, whatever other links there are:
// going up is allowed only at the target's beginning, and not above the top.
bool stays_inside(std::string_view path, std::string_view target) {
  if (target.empty() || target.starts_with('/')) return false;
  std::size_t depth = static_cast<std::size_t>(std::count(path.begin(), path.end(), '/'));
  bool going_up = true;
  for (std::string_view part : split(target, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..") {
      going_up = false;
      continue;
    }
    if (!going_up || depth == 0) return false;
    --depth;
  }
  return true;
}

// Whether the engine left this behind about its state, seen from the working directory.
bool is_leftover(std::string_view path, std::string_view working_directory) {
  if (!working_directory.empty()) {
    if (!path.starts_with(working_directory) || path.size() <= working_directory.size() ||
        path[working_directory.size()] != '/')
      return false;
    path.remove_prefix(working_directory.size() + 1);
  }
  static const std::set<std::string_view> names = {
      "terraform.tfstate",   "terraform.tfstate.backup",     ".terraform.tfstate.lock.info",
      "terraform.tfstate.d", ".terraform/terraform.tfstate", ".terraform/environment"};
  return names.contains(path) || path.starts_with("terraform.tfstate.d/");
}

class Unpacker {
 public:
  explicit Unpacker(const UnpackOptions& options)
      : options_(options), reader_(archive_read_new()), writer_(archive_write_disk_new()) {
    working_directory_ = plain_path(options.working_directory).value_or("");
    archive_read_support_filter_gzip(reader_.get());
    archive_read_support_format_tar(reader_.get());
    archive_read_support_format_empty(reader_.get());
    archive_write_disk_set_options(writer_.get(), ARCHIVE_EXTRACT_SECURE_SYMLINKS |
                                                      ARCHIVE_EXTRACT_SECURE_NODOTDOT |
                                                      ARCHIVE_EXTRACT_SECURE_NOABSOLUTEPATHS);
  }

  void run() {
    if (archive_read_open_filename(reader_.get(), options_.archive.c_str(), 64 * 1024) != ARCHIVE_OK)
      broken();
    archive_entry* entry = nullptr;
    int result;
    while ((result = archive_read_next_header(reader_.get(), &entry)) == ARCHIVE_OK || result == ARCHIVE_WARN)
      take(entry);
    if (result != ARCHIVE_EOF) broken();
    if (archive_write_close(writer_.get()) != ARCHIVE_OK) failed("The end");
  }

 private:
  [[noreturn]] void broken() {
    const char* text = archive_error_string(reader_.get());
    throw Error(Code::invalid, "The configuration is no valid tar.gz archive: " +
                                   std::string(text ? text : "unknown error") + ".");
  }
  [[noreturn]] void failed(std::string_view name) {
    const char* text = archive_error_string(writer_.get());
    throw Error(Code::invalid, "The configuration cannot be unpacked: " + shown(name) + ": " +
                                   std::string(text ? text : "unknown error") + ".");
  }

  void take(archive_entry* entry) {
    const char* raw = archive_entry_pathname(entry);
    if (!raw) raw = archive_entry_pathname_utf8(entry);
    std::string name = raw ? raw : "";
    if (++entries_ > options_.entries)
      refuse(name, "exceeds the limit of " + std::to_string(options_.entries) + " entries");
    std::optional<std::string> path = plain_path(name);
    if (!path) refuse(name, "is absolute or leads upwards");
    if (path->empty()) return;  // the top itself
    check_kind(entry, name, *path);
    if (is_leftover(*path, working_directory_)) return;
    archive_entry_set_pathname(entry, path->c_str());
    // Shim and engine run under different users and share by group; no foreign bits are taken over.
    bool runnable = archive_entry_filetype(entry) == AE_IFDIR || (archive_entry_perm(entry) & 0100) != 0;
    archive_entry_set_perm(entry, runnable ? 0770 : 0660);
    archive_entry_set_fflags(entry, 0, 0);
    write(entry, name);
  }

  void check_kind(archive_entry* entry, const std::string& name, const std::string& path) {
    if (const char* target = archive_entry_hardlink(entry)) {
      std::optional<std::string> plain = plain_path(target);
      if (!plain || plain->empty())
        refuse(name, "is a link to " + shown(target) + " outside the configuration");
      // Its target is taken as it stands in the destination, so one that goes through a symbolic link must
      // not be followed either.
      check_parents(name, *plain);
      archive_entry_set_hardlink(entry, plain->c_str());
      return;
    }
    switch (archive_entry_filetype(entry)) {
      case AE_IFREG:
      case AE_IFDIR: return;
      case AE_IFLNK: {
        const char* target = archive_entry_symlink(entry);
        if (!target || !stays_inside(path, target))
          refuse(name, "is a link to " + shown(target ? target : "") + " outside the configuration");
        return;
      }
      case AE_IFCHR:
      case AE_IFBLK: refuse(name, "is a device");
      case AE_IFIFO: refuse(name, "is a FIFO");
      case AE_IFSOCK: refuse(name, "is a socket");
      default: refuse(name, "is neither file, directory nor link");
    }
  }

  void check_parents(const std::string& name, const std::string& target) {
    for (std::size_t slash = target.find('/'); slash != std::string::npos;
         slash = target.find('/', slash + 1)) {
      struct stat status{};
      if (::lstat(target.substr(0, slash).c_str(), &status) == 0 && S_ISLNK(status.st_mode))
        refuse(name, "is a link through another link");
    }
  }

  void write(archive_entry* entry, const std::string& name) {
    bool sized = archive_entry_size_is_set(entry) && archive_entry_filetype(entry) == AE_IFREG;
    if (sized) need(name, static_cast<std::uint64_t>(archive_entry_size(entry)));
    if (archive_write_header(writer_.get(), entry) != ARCHIVE_OK) failed(name);
    const void* data = nullptr;
    std::size_t size = 0;
    la_int64_t offset = 0;
    std::uint64_t end = 0;
    int result;
    while ((result = archive_read_data_block(reader_.get(), &data, &size, &offset)) == ARCHIVE_OK ||
           result == ARCHIVE_WARN) {
      end = std::max(end, static_cast<std::uint64_t>(offset) + size);
      need(name, end);
      if (archive_write_data_block(writer_.get(), data, size, offset) < ARCHIVE_OK) failed(name);
    }
    if (result != ARCHIVE_EOF) broken();
    if (archive_write_finish_entry(writer_.get()) != ARCHIVE_OK) failed(name);
    used_ += std::max(end, sized ? static_cast<std::uint64_t>(archive_entry_size(entry)) : 0);
  }

  void need(const std::string& name, std::uint64_t bytes) {
    if (bytes > options_.bytes - used_)
      refuse(name, "exceeds the limit of " + std::to_string(options_.bytes) + " bytes for all files");
  }

  const UnpackOptions& options_;
  std::unique_ptr<archive, FreeReader> reader_;
  std::unique_ptr<archive, FreeWriter> writer_;
  std::string working_directory_;
  std::uint64_t entries_ = 0;
  std::uint64_t used_ = 0;
};

}  // namespace

void unpack(const UnpackOptions& options) {
  // libarchive's writer works on relative names, and so no name is ever joined with the destination.
  if (::chdir(options.destination.c_str()) != 0)
    throw Error(Code::internal, "The directory for the configuration cannot be entered.");
  Unpacker(options).run();
}

int unpack_main(int argc, char** argv) {
  std::optional<std::int64_t> bytes = argc >= 4 ? parse_int(argv[3]) : std::nullopt;
  if (!bytes || *bytes < 0 || argc > 5) {
    std::fprintf(stderr, "usage: unpack ARCHIVE DESTINATION BYTES [WORKING_DIRECTORY]\n");
    return 2;
  }
  std::setlocale(LC_CTYPE, "C.UTF-8");  // else libarchive cannot give names that are not ASCII
  ::umask(0007);
  UnpackOptions options;
  options.archive = argv[1];
  options.destination = argv[2];
  options.bytes = static_cast<std::uint64_t>(*bytes);
  if (argc == 5) options.working_directory = argv[4];
  try {
    unpack(options);
    return 0;
  } catch (const Error& failure) {
    std::fprintf(stderr, "%s\n", failure.detail().c_str());
    return 1;
  }
}

}  // namespace terrane::sandbox
