#include "sandbox/run_directory.h"

#include <cerrno>
#include <dirent.h>
#include <fcntl.h>
#include <random>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/log.h"
#include "base/text.h"
#include "sandbox/descriptor.h"
#include "sandbox/processes.h"

namespace terrane::sandbox {

namespace fs = std::filesystem;

namespace {

// mountinfo writes blanks, tabs, line ends and backslashes as \ooo.
std::string unescape(std::string_view text) {
  std::string plain;
  for (std::size_t i = 0; i < text.size(); ++i) {
    bool octal = text[i] == '\\' && i + 3 < text.size();
    if (!octal) {
      plain += text[i];
      continue;
    }
    plain += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
    i += 3;
  }
  return plain;
}

bool give_entry(int directory, const char* name, dev_t device, uid_t uid, gid_t gid, int depth);

bool give_content(int directory, dev_t device, uid_t uid, gid_t gid, int depth) {
  int copy = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  DIR* entries = copy < 0 ? nullptr : fdopendir(copy);
  if (!entries) return false;
  bool all = true;
  while (dirent* entry = readdir(entries)) {
    std::string_view name = entry->d_name;
    if (name == "." || name == "..") continue;
    all = give_entry(directory, entry->d_name, device, uid, gid, depth) && all;
  }
  closedir(entries);
  return all;
}

bool give_entry(int directory, const char* name, dev_t device, uid_t uid, gid_t gid, int depth) {
  struct stat status{};
  if (fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW) != 0 || status.st_dev != device) return false;
  bool all = true;
  if (S_ISDIR(status.st_mode)) {
    Descriptor inner(depth > 0 ? openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
                               : -1);
    all = inner && give_content(inner.get(), device, uid, gid, depth - 1);
  }
  return fchownat(directory, name, uid, gid, AT_SYMLINK_NOFOLLOW) == 0 && all;
}

}  // namespace

std::vector<TmpfsMount> parse_tmpfs_mounts(std::string_view mountinfo) {
  std::vector<TmpfsMount> found;
  for (std::string_view line : split(mountinfo, '\n')) {
    std::size_t dash = line.find(" - ");
    if (dash == std::string_view::npos) continue;
    std::vector<std::string_view> left = split(line.substr(0, dash), ' ');
    std::vector<std::string_view> right = split(line.substr(dash + 3), ' ');
    if (left.size() < 5 || right.size() < 3 || right[0] != "tmpfs") continue;
    TmpfsMount mount;
    mount.path = unescape(left[4]);
    for (std::string_view option : split(right[2], ',')) {
      if (!option.starts_with("uid=")) continue;
      if (std::optional<std::int64_t> uid = parse_int(option.substr(4))) mount.uid = static_cast<uid_t>(*uid);
    }
    found.push_back(std::move(mount));
  }
  return found;
}

bool give_away(const fs::path& directory, uid_t uid, gid_t gid) {
  Descriptor top(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat status{};
  if (!top || fstat(top.get(), &status) != 0) return false;
  bool all = give_content(top.get(), status.st_dev, uid, gid, 200);
  return fchown(top.get(), uid, gid) == 0 && all;
}

std::vector<TmpfsMount> RunDirectories::mounts() const {
  // Not read_small_file: a machine with many containers has more than 1 MiB of mounts.
  std::string text;
  Descriptor file =
      checked(::open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC), "Opening /proc/self/mountinfo");
  char buffer[16384];
  ssize_t size;
  while ((size = read(file.get(), buffer, sizeof buffer)) > 0 && text.size() < (64u << 20))
    text.append(buffer, static_cast<std::size_t>(size));
  return parse_tmpfs_mounts(text);
}

void RunDirectories::prepare() {
  std::error_code error;
  fs::create_directory(options_.root, error);
  options_.root = fs::canonical(options_.root, error);  // mountinfo shows resolved paths
  if (error)
    throw Error(Code::internal,
                "The run root " + options_.root.string() + " cannot be made: " + error.message());
  fs::create_directory(base(), error);
  std::vector<TmpfsMount> present = mounts();
  bool mounted =
      std::any_of(present.begin(), present.end(), [&](const TmpfsMount& m) { return m.path == base(); });
  if (!mounted && ::mount("terrane-runs", base().c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
                          "size=16m,mode=0700") != 0) {
    fail("Mounting " + base().string());
  }
  if (mkdir(records().c_str(), 0700) != 0 && errno != EEXIST) fail("Making " + records().string());
  for (const auto& [uid, count] : processes_by_uid()) {
    if (uid >= options_.first_uid && uid - options_.first_uid < options_.uid_count) occupied_.insert(uid);
  }
  if (chown(base().c_str(), 0, options_.worker_gid) != 0 || chmod(base().c_str(), 0710) != 0)
    fail("Permissions of " + base().string());
}

uid_t RunDirectories::pick_uid() const {
  std::set<uid_t> used;
  for (const TmpfsMount& mount : mounts()) {
    if (mount.uid) used.insert(*mount.uid);
  }
  used.insert(occupied_.begin(), occupied_.end());
  std::uint32_t start = std::random_device()() % options_.uid_count;
  for (std::uint32_t i = 0; i < options_.uid_count; ++i) {
    uid_t uid = options_.first_uid + (start + i) % options_.uid_count;
    if (!used.contains(uid)) return uid;
  }
  throw Error(Code::unavailable, "All " + std::to_string(options_.uid_count) + " uids for runs are in use.");
}

void RunDirectories::mount(std::string_view run, uid_t uid, std::uint64_t bytes) const {
  fs::path where = path(run);
  if (mkdir(where.c_str(), 0700) != 0 && errno != EEXIST) fail("Making " + where.string());
  std::string id = std::to_string(uid);
  std::uint64_t inodes = std::clamp<std::uint64_t>(bytes / 4096, 4096, 2000000);
  std::string settings = "mode=2770,uid=" + id + ",gid=" + id + ",size=" + std::to_string(bytes) +
                         ",nr_inodes=" + std::to_string(inodes);
  unsigned long flags = MS_NOSUID | MS_NODEV;
  // Secrets stay off the swap where the kernel (6.4) can promise it.
  if (::mount("terrane-run", where.c_str(), "tmpfs", flags, (settings + ",noswap").c_str()) != 0 &&
      ::mount("terrane-run", where.c_str(), "tmpfs", flags, settings.c_str()) != 0) {
    fail("Mounting " + where.string());
  }
  for (const char* part : {"work", "tmp", "home"}) {
    fs::path inner = where / part;
    if (mkdir(inner.c_str(), 0700) != 0 || chown(inner.c_str(), uid, uid) != 0 ||
        chmod(inner.c_str(), 02770) != 0) {
      fail("Making " + inner.string());
    }
  }
}

uid_t RunDirectories::open(std::string_view run, std::uint64_t bytes) const {
  if (std::optional<uid_t> uid = uid_of(run)) {
    struct stat status{};
    if (stat(path(run).c_str(), &status) != 0) fail("Looking at " + path(run).string());
    if (status.st_uid != *uid)
      throw Error(Code::conflict, "The run directory was adopted; release the run first.");
    return *uid;
  }
  uid_t uid = pick_uid();
  mount(run, uid, bytes);
  return uid;
}

std::optional<uid_t> RunDirectories::uid_of(std::string_view run) const {
  fs::path wanted = path(run);
  for (const TmpfsMount& mount : mounts()) {
    if (mount.path == wanted) return mount.uid;
  }
  return std::nullopt;
}

Task<> RunDirectories::adopt(std::string run) const {
  fs::path where = path(run);
  uid_t uid = options_.worker_uid;
  gid_t gid = options_.worker_gid;
  int result = co_await in_child([where, uid, gid] { return give_away(where, uid, gid) ? 0 : 1; });
  if (result == 255)
    throw Error(Code::internal, "The files of " + where.string() + " could not be given to the worker.");
  if (result != 0) log::warn("some files of a run directory were not adopted", {{"run", run}});
}

Task<> RunDirectories::release(std::string run) const {
  fs::path where = path(run);
  if (uid_of(run)) {
    // In a child, because freeing gigabytes takes a while. Who still has a file open keeps only that file.
    int result = co_await in_child(
        [where] { return umount2(where.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH) == 0 ? 0 : errno; });
    if (result != 0 && uid_of(run))
      throw Error(Code::internal,
                  "Unmounting " + where.string() + " failed with error " + std::to_string(result) + ".");
  }
  rmdir(where.c_str());
}

}  // namespace terrane::sandbox
