#include "blob/memory_store.h"

namespace terrane::blob {
namespace {

class MemoryWriter : public Writer {
 public:
  MemoryWriter(std::map<std::string, MemoryStore::Entry>& entries, std::string name)
      : entries_(entries), name_(std::move(name)) {}

  Task<> write(std::string_view bytes) override {
    bytes_ += bytes;
    co_return;
  }

  Task<> commit() override {
    if (!entries_.try_emplace(name_, MemoryStore::Entry{bytes_, true}).second) {
      throw Error(Code::conflict, "An object of this name exists.").add_context(name_);
    }
    co_return;
  }

 private:
  std::map<std::string, MemoryStore::Entry>& entries_;
  std::string name_;
  std::string bytes_;
};

class MemoryReader : public Reader {
 public:
  MemoryReader(std::string bytes, std::uint64_t offset)
      : bytes_(std::move(bytes)), offset_(static_cast<std::size_t>(offset)) {}

  std::uint64_t size() const noexcept override { return bytes_.size(); }

  Task<std::size_t> read(std::span<char> buffer) override {
    std::size_t count = bytes_.copy(buffer.data(), buffer.size(), offset_);
    offset_ += count;
    co_return count;
  }

 private:
  std::string bytes_;
  std::size_t offset_;
};

}  // namespace

Task<std::unique_ptr<Writer>> MemoryStore::create(std::string name) {
  check_name(name);
  co_return std::make_unique<MemoryWriter>(entries_, std::move(name));
}

Task<std::unique_ptr<Reader>> MemoryStore::open(std::string name, std::uint64_t offset) {
  check_name(name);
  auto found = entries_.find(name);
  if (found == entries_.end()) throw Error(Code::not_found, "There is no such object.").add_context(name);
  if (offset > found->second.bytes.size())
    throw Error(Code::invalid, "The offset lies behind the object's end.").add_context(name);
  co_return std::make_unique<MemoryReader>(found->second.bytes, offset);
}

Task<std::optional<std::uint64_t>> MemoryStore::size(std::string name) {
  check_name(name);
  auto found = entries_.find(name);
  if (found == entries_.end()) co_return std::nullopt;
  co_return found->second.bytes.size();
}

Task<> MemoryStore::remove(std::string name) {
  check_name(name);
  entries_.erase(name);
  co_return;
}

Task<std::vector<std::string>> MemoryStore::list(std::string prefix, std::string after, std::size_t limit) {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) {
    if (names.size() < limit && name.starts_with(prefix) && name > after) names.push_back(name);
  }
  co_return names;
}

Task<std::uint64_t> MemoryStore::append(std::string name, std::uint64_t position, std::string bytes) {
  check_name(name);
  if (bytes.size() > append_limit) throw Error(Code::too_large, "One append can have at most 8 MiB.");
  auto found = entries_.find(name);
  std::string_view present = found == entries_.end() ? std::string_view() : found->second.bytes;
  if (position > present.size())
    throw PositionConflict(name, present.size(), "a gap in front of " + std::to_string(position));
  std::string_view same = present.substr(static_cast<std::size_t>(position), bytes.size());
  if (same != std::string_view(bytes).substr(0, same.size()))
    throw PositionConflict(name, present.size(), "different bytes are there");
  if (same.size() == bytes.size() && found != entries_.end()) co_return present.size();
  if (found != entries_.end() && found->second.sealed)
    throw Error(Code::conflict, "The log is sealed.").add_context(name);
  std::string& target = entries_[name].bytes;
  target.append(bytes, same.size());
  co_return target.size();
}

Task<std::uint64_t> MemoryStore::log_size(std::string name) {
  co_return (co_await size(std::move(name))).value_or(0);
}

Task<> MemoryStore::seal_log(std::string name) {
  check_name(name);
  auto found = entries_.find(name);
  if (found == entries_.end()) throw Error(Code::not_found, "There is no such log.").add_context(name);
  found->second.sealed = true;
  co_return;
}

}  // namespace terrane::blob
