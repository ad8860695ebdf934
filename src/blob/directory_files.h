#pragma once
#include "blob/folder.h"
#include "blob/store.h"

namespace terrane::blob {

/// Writes an object of a directory store: into `incoming/`, then under its name.
class FileWriter : public Writer {
 public:
  FileWriter(std::shared_ptr<const Folder> folder, std::string name, std::uint64_t reserve);
  ~FileWriter() override;
  FileWriter(const FileWriter&) = delete;
  FileWriter& operator=(const FileWriter&) = delete;

  /// Makes the file; before anything else. Suspends.
  Task<> begin();
  Task<> write(std::string_view bytes) override;
  Task<> commit() override;

 private:
  void put(std::string_view bytes);
  void require_space() const;
  std::shared_ptr<const Folder> folder_;
  std::string name_;
  std::uint64_t reserve_;
  File file_;
  std::string file_name_;
  std::string buffer_;
  std::uint64_t written_ = 0;
  std::uint64_t started_ = 0;  // up to here the disk has been told to write
  bool broken_ = false;        // a write failed: what is there is not what was given
};

/// Reads a file of a directory store up to `size`.
class FileReader : public Reader {
 public:
  FileReader(File file, std::string name, std::uint64_t offset, std::uint64_t size);
  std::uint64_t size() const noexcept override { return size_; }
  Task<std::size_t> read(std::span<char> buffer) override;

 private:
  File file_;
  std::string name_;
  std::uint64_t offset_;
  std::uint64_t size_;
};

}  // namespace terrane::blob
