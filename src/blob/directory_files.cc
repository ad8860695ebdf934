#include "blob/directory_files.h"

#include <cerrno>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "net/io.h"

namespace terrane::blob {
namespace {

constexpr std::size_t buffer_size =
    256 * 1024;  // small writes are gathered: a change of thread costs as much as 64 KiB
constexpr std::size_t read_limit = 256 * 1024;  // bytes that are copied without leaving the executor's thread
constexpr std::uint64_t start_distance = 8 * 1024 * 1024;  // how much may be dirty before the disk begins

}  // namespace

FileWriter::FileWriter(std::shared_ptr<const Folder> folder, std::string name, std::uint64_t reserve)
    : folder_(std::move(folder)), name_(std::move(name)), reserve_(reserve) {}

FileWriter::~FileWriter() {
  if (file_.is_open()) folder_->remove_incoming(file_name_);
}

Task<> FileWriter::begin() {
  std::function<void()> work = [this] {
    require_space();
    file_ = folder_->create_incoming(file_name_);
  };
  co_await net::blocking(std::move(work));
}

void FileWriter::require_space() const {
  if (reserve_ > 0 && folder_->available() < reserve_) throw_errno("write", name_, ENOSPC);
}

// On a thread for blocking calls.
void FileWriter::put(std::string_view bytes) {
  write_at(file_, written_, bytes, name_);
  written_ += bytes.size();
  if (written_ - started_ < start_distance) return;
  // Begun early, so that the sync at the end does not wait for all of it, and a disk that fills up is seen in
  // time.
  sync_file_range(file_.descriptor(), static_cast<off_t>(started_), static_cast<off_t>(written_ - started_),
                  SYNC_FILE_RANGE_WRITE);
  started_ = written_;
  require_space();
}

Task<> FileWriter::write(std::string_view bytes) {
  if (!file_.is_open() || broken_)
    throw Error(Code::internal, "This object can no longer be written.").add_context(name_);
  if (buffer_.size() + bytes.size() < buffer_size) {
    buffer_ += bytes;
    co_return;
  }
  broken_ = true;  // until it is done
  std::function<void()> work = [this, bytes] {
    put(buffer_);
    put(bytes);
  };
  co_await net::blocking(std::move(work));
  buffer_.clear();
  broken_ = false;
}

Task<> FileWriter::commit() {
  if (!file_.is_open() || broken_)
    throw Error(Code::internal, "This object can no longer be committed.").add_context(name_);
  broken_ = true;
  std::function<void()> work = [this] {
    put(buffer_);
    seal(file_, name_);
    folder_->publish(file_name_, name_);
  };
  co_await net::blocking(std::move(work));
  file_.close();
}

FileReader::FileReader(File file, std::string name, std::uint64_t offset, std::uint64_t size)
    : file_(std::move(file)), name_(std::move(name)), offset_(offset), size_(size) {}

Task<std::size_t> FileReader::read(std::span<char> buffer) {
  std::size_t wanted =
      static_cast<std::size_t>(std::min<std::uint64_t>({buffer.size(), size_ - offset_, read_limit}));
  if (wanted == 0) co_return 0;
  // What is in the page cache is copied here and now; only what the disk must bring goes to another thread.
  iovec target{buffer.data(), wanted};
  ssize_t count = preadv2(file_.descriptor(), &target, 1, static_cast<off_t>(offset_), RWF_NOWAIT);
  if (count <= 0) {
    std::function<void()> work = [this, &target, &count] {
      do count = pread(file_.descriptor(), target.iov_base, target.iov_len, static_cast<off_t>(offset_));
      while (count < 0 && errno == EINTR);
      if (count < 0) throw_errno("read", name_, errno);
      if (count == 0) throw_errno("read (shorter than it was)", name_, EIO);
    };
    co_await net::blocking(std::move(work));
  }
  offset_ += static_cast<std::uint64_t>(count);
  co_return static_cast<std::size_t>(count);
}

}  // namespace terrane::blob
