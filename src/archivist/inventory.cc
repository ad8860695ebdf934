#include "archivist/inventory.h"

#include "archivist/download.h"
#include "archivist/meter.h"

namespace terrane::archivist {
namespace {

constexpr std::size_t page_size = 500;

/// Something else in the store is none of ours.
bool is_object(const std::string& kind, const std::string& name) {
  try {
    return blob::object_name(kind, name.substr(name.rfind('/') + 1)) == name;
  } catch (const Error&) {
    return false;
  }
}

}  // namespace

Task<Inventory::Page> Inventory::page(std::string kind, std::string after) {
  blob::object_name(kind, "x");  // throws on a kind that is none
  Page page;
  std::vector<std::string> names = co_await store_.list(kind + "/", after, page_size);
  for (const std::string& name : names) {
    if (is_object(kind, name)) page.objects.push_back(name.substr(name.rfind('/') + 1));
  }
  if (names.size() == page_size) page.next = names.back();
  co_return page;
}

Task<Inventory::Found> Inventory::look(std::string kind, std::string object) {
  Found found;
  std::exception_ptr failure;
  try {
    Object row{Id<Object>(object), kind, "", "live", std::nullopt, std::nullopt};
    std::unique_ptr<blob::Reader> reader = co_await store_.open(blob::object_name(kind, object));
    sealed::Header header = co_await read_header(*reader, row);
    row.workspace = header.identity.workspace;
    SealedObject opened = co_await SealedObject::open(store_, row);
    std::shared_ptr<http::ByteSource> plain = co_await opened.read_all(keys_);
    Meter meter(crypto::HashKind::md5, UINT64_MAX);
    co_await drain(*plain, meter, row);
    found.workspace = row.workspace;
    found.size = static_cast<std::int64_t>(meter.size());
    found.md5 = meter.finish();
    found.facts = header.identity.extra;
  } catch (const Error& error) {
    // Damaged bytes, or a key that vault does not open: it would be the same the next time.
    if (error.code() != Code::internal) throw;
    failure = std::make_exception_ptr(
        Error(Code::unprocessable, "The object does not open.").add_context(error.what()));
  }
  if (failure) std::rethrow_exception(failure);
  co_return found;
}

}  // namespace terrane::archivist
