#include "transit/key_material.h"

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/json.h"
#include "base/log.h"
#include "base/text.h"
#include "base/time.h"
#include "crypto/aead.h"
#include "crypto/random.h"
#include "net/io.h"

namespace terrane::transit {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view copy_magic = "terrane-keyring-1\n";
constexpr std::size_t largest_file = 64 * 1024 * 1024;

[[noreturn]] void fail(const fs::path& path, std::string_view step, int error = errno) {
  throw Error(Code::internal, "Vault key material " + path.string() + ": cannot " + std::string(step) + ": " +
                                  std::strerror(error) + ".");
}

/// A descriptor that closes itself.
class File {
 public:
  File(const fs::path& path, int flags, mode_t mode = 0)
      : fd_(::open(path.c_str(), flags | O_CLOEXEC, mode)) {}
  ~File() {
    if (fd_ >= 0) ::close(fd_);
  }
  File(const File&) = delete;
  File& operator=(const File&) = delete;
  int get() const noexcept { return fd_; }
  bool is_open() const noexcept { return fd_ >= 0; }

 private:
  int fd_;
};

void sync_directory(const fs::path& directory) {
  File file(directory, O_RDONLY | O_DIRECTORY);
  if (!file.is_open() || ::fsync(file.get()) != 0) fail(directory, "make the directory durable");
}

/// Makes `directory` with mode 0700, or checks that it is private to this user.
void private_directory(const fs::path& directory) {
  if (::mkdir(directory.c_str(), 0700) == 0) {
    sync_directory(directory.parent_path());
  } else if (errno != EEXIST) {
    fail(directory, "make the directory");
  }
  struct stat status{};
  if (::stat(directory.c_str(), &status) != 0) fail(directory, "look at the directory");
  if (!S_ISDIR(status.st_mode)) fail(directory, "use it", ENOTDIR);
  if (status.st_uid != ::geteuid()) {
    throw Error(Code::internal, "Vault key material " + directory.string() +
                                    " belongs to another user: chown it to the vault's user.");
  }
  if ((status.st_mode & 077) != 0) {
    throw Error(Code::internal,
                "Vault key material " + directory.string() + " is open to others: chmod it to 0700.");
  }
}

/// The whole file; nothing when there is none. Refuses one that others may read.
std::optional<Secret> read_private(const fs::path& path) {
  File file(path, O_RDONLY | O_NOFOLLOW);
  if (!file.is_open()) {
    if (errno == ENOENT) return std::nullopt;
    fail(path, "open the file");
  }
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) fail(path, "look at the file");
  if (!S_ISREG(status.st_mode)) fail(path, "use it, for it is no file", EINVAL);
  if ((status.st_mode & 077) != 0) {
    throw Error(Code::internal,
                "Vault key material " + path.string() + " is open to others: chmod it to 0600.");
  }
  if (static_cast<std::size_t>(status.st_size) > largest_file) fail(path, "read the file", EFBIG);
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  std::size_t filled = 0;
  while (filled < text.size()) {
    ssize_t count = ::read(file.get(), text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) fail(path, "read the file");
    if (count == 0) break;
    filled += static_cast<std::size_t>(count);
  }
  text.resize(filled);
  return Secret(std::move(text));
}

/// Writes a fresh temporary file beside `path` and makes its bytes durable. Returns its path.
fs::path write_temporary(const fs::path& path, std::string_view bytes) {
  fs::path temporary = path;
  temporary += "." + crypto::random_text(12) + ".tmp";
  File file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
  if (!file.is_open()) fail(temporary, "make the file");
  std::size_t written = 0;
  while (written < bytes.size()) {
    ssize_t count = ::write(file.get(), bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) {
      int error = errno;
      ::unlink(temporary.c_str());
      fail(path, "write the file", error);
    }
    written += static_cast<std::size_t>(count);
  }
  if (::fsync(file.get()) != 0) {
    int error = errno;
    ::unlink(temporary.c_str());
    fail(path, "make the file durable", error);
  }
  return temporary;
}

/// Gives the temporary file its name if that name is free. Returns whether it did; the temporary file stays
/// when it did not.
bool take_name(const fs::path& temporary, const fs::path& path) {
  if (::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_NOREPLACE) == 0) {
    sync_directory(path.parent_path());
    return true;
  }
  int error = errno;
  if (error == EEXIST) return false;
  ::unlink(temporary.c_str());
  fail(path, "name the file", error);
}

UnsealFile parse_unseal(const fs::path& path, const Secret& text) {
  std::string hint =
      "Vault key material " + path.string() + " cannot be understood: restore it from its backup.";
  try {
    json::value value = parse_json(text.reveal());
    const json::object* object = value.if_object();
    if (!object) throw Error(Code::internal, hint);
    std::optional<std::string> key = from_base64(require_string(*object, "unseal_key"));
    if (!key || key->size() != crypto::key_size) throw Error(Code::internal, hint);
    return {Secret(*std::move(key)), Secret(require_string(*object, "root_token"))};
  } catch (const Error& error) {
    if (error.code() == Code::internal) throw;
    throw Error(Code::internal, hint + " " + error.detail());
  }
}

struct Copy {
  std::int64_t number;
  fs::path path;
};

/// The copies of the directory, ascending by number.
std::vector<Copy> list_copies(const fs::path& directory) {
  std::vector<Copy> copies;
  std::error_code failure;
  for (fs::directory_iterator entry(directory, failure), end; !failure && entry != end;
       entry.increment(failure)) {
    if (entry->path().extension() != ".sealed") continue;
    std::optional<std::int64_t> number = parse_int(entry->path().stem().string());
    if (number && *number >= 0) copies.push_back({*number, entry->path()});
  }
  if (failure && failure != std::errc::no_such_file_or_directory)
    fail(directory, "list the directory", failure.value());
  std::sort(copies.begin(), copies.end(),
            [](const Copy& left, const Copy& right) { return left.number < right.number; });
  return copies;
}

/// Reads and opens one copy; nothing, with a line in the log, when the key does not open it.
std::optional<KeyringCopy> open_copy(const fs::path& path, const Secret& unseal_key) {
  std::optional<Secret> bytes = read_private(path);
  if (!bytes) return std::nullopt;
  std::string_view sealed = bytes->reveal();
  if (sealed.starts_with(copy_magic)) {
    std::optional<std::string> text =
        crypto::open_random(unseal_key, sealed.substr(copy_magic.size()), copy_magic);
    if (text) return parse_copy(Secret(*std::move(text)));
  }
  log::error("vault: a sealed keyring copy does not open under this unseal key; it is left alone",
             {{"file", path.string()}});
  return std::nullopt;
}

/// Removes the oldest copies above `keep`, but none that holds a key which the newest lacks. An unreadable
/// one stays.
void prune(const fs::path& directory, const KeyringCopy& newest, const Secret& unseal_key, std::size_t keep) {
  std::vector<Copy> copies = list_copies(directory);
  for (std::size_t i = 0; i + keep < copies.size(); ++i) {
    std::optional<KeyringCopy> copy = open_copy(copies[i].path, unseal_key);
    if (copy && contains(newest, *copy)) ::unlink(copies[i].path.c_str());
  }
}

std::string file_name(std::int64_t number) {
  std::array<char, 32> text{};
  std::snprintf(text.data(), text.size(), "%04lld.sealed", static_cast<long long>(number));
  return text.data();
}

}  // namespace

KeyMaterial::KeyMaterial(KeyMaterialOptions options) : options_(std::move(options)) {}

Task<> KeyMaterial::prepare() {
  std::function<void()> work = [this] {
    private_directory(options_.directory);
    private_directory(copies_path());
  };
  co_await net::blocking(std::move(work));
}

Task<std::optional<UnsealFile>> KeyMaterial::read_unseal() {
  std::function<std::optional<UnsealFile>()> work = [this]() -> std::optional<UnsealFile> {
    std::optional<Secret> text = read_private(unseal_path());
    if (!text) return std::nullopt;
    return parse_unseal(unseal_path(), *text);
  };
  co_return co_await net::blocking_result(std::move(work));
}

Task<bool> KeyMaterial::create_unseal(UnsealFile file) {
  json::object object;
  object["unseal_key"] = base64(file.unseal_key.reveal());
  object["root_token"] = file.root_token.reveal();
  object["made_at"] = iso8601(now());
  Secret text(json::serialize(object) + "\n");
  std::function<bool()> work = [this, &text] {
    fs::path temporary = write_temporary(unseal_path(), text.reveal());
    if (take_name(temporary, unseal_path())) return true;
    ::unlink(temporary.c_str());
    return false;
  };
  co_return co_await net::blocking_result(std::move(work));
}

Task<> KeyMaterial::discard(Secret unseal_key) {
  std::function<void()> work = [this, &unseal_key] {
    if (::unlink(unseal_path().c_str()) != 0 && errno != ENOENT) fail(unseal_path(), "remove the file");
    for (const Copy& copy : list_copies(copies_path())) {
      if (open_copy(copy.path, unseal_key)) ::unlink(copy.path.c_str());
    }
    sync_directory(options_.directory);
    sync_directory(copies_path());
  };
  co_await net::blocking(std::move(work));
}

Task<bool> KeyMaterial::has_copies() {
  std::function<bool()> work = [this] { return !list_copies(copies_path()).empty(); };
  co_return co_await net::blocking_result(std::move(work));
}

Task<std::vector<KeyringCopy>> KeyMaterial::read_copies(Secret unseal_key) {
  std::function<std::vector<KeyringCopy>()> work = [this, &unseal_key] {
    std::vector<Copy> files = list_copies(copies_path());
    std::vector<KeyringCopy> copies;
    for (auto file = files.rbegin(); file != files.rend(); ++file) {
      if (std::optional<KeyringCopy> copy = open_copy(file->path, unseal_key))
        copies.push_back(*std::move(copy));
    }
    return copies;
  };
  co_return co_await net::blocking_result(std::move(work));
}

Task<> KeyMaterial::write_copy(KeyringCopy copy, Secret unseal_key) {
  std::function<void()> work = [this, &copy, &unseal_key] {
    std::string bytes(copy_magic);
    bytes += crypto::seal_random(unseal_key, to_text(copy).reveal(), copy_magic);
    std::vector<Copy> files = list_copies(copies_path());
    std::int64_t number = files.empty() ? 1 : files.back().number + 1;
    fs::path temporary = write_temporary(copies_path() / "copy", bytes);
    while (!take_name(temporary, copies_path() / file_name(number))) ++number;
    prune(copies_path(), copy, unseal_key, options_.copies);
  };
  co_await net::blocking(std::move(work));
}

}  // namespace terrane::transit
