#include "archivist/upload.h"

#include "archivist/download.h"
#include "archivist/meter.h"
#include "base/text.h"
#include "base/time.h"
#include "sealed/stream.h"

namespace terrane::archivist {
namespace {

constexpr std::uint64_t mebibyte = 1024 * 1024;

[[noreturn]] void throw_other_bytes() {
  throw Error(Code::conflict, "Other bytes have been uploaded here before; an object never changes.");
}

/// Commits; false when the name was taken in the meantime.
Task<bool> commit(blob::Writer& writer) {
  try {
    co_await writer.commit();
  } catch (const Error& error) {
    if (error.code() != Code::conflict) throw;
    co_return false;
  }
  co_return true;
}

/// Collects the front of a sealed body up to and with its header; `front` may hold more.
Task<sealed::Header> take_header(const Object& row, http::ByteSource& body, std::string& front) {
  auto piece = std::make_unique_for_overwrite<char[]>(piece_size);
  try {
    while (true) {
      if (std::optional<sealed::Header> header = sealed::parse_header(front)) {
        sealed::expect(*header, row.id.text(), row.kind, row.workspace);
        if (header->prefix.size() != sealed::stream_prefix_size) {
          throw sealed::Damaged(header->identity, "it is a log segment");
        }
        co_return std::move(*header);
      }
      std::size_t count = co_await body.read({piece.get(), piece_size});
      if (count == 0) throw sealed::Damaged({}, "it ends within its header");
      front.append(piece.get(), count);
    }
  } catch (const sealed::Damaged& error) {
    throw Error(Code::unprocessable, "The body is not this object in its sealed form.")
        .add_context(error.what());
  }
}

}  // namespace

std::uint64_t size_limit(std::string_view kind) {
  return kind == "configuration" ? 512 * mebibyte : 2048 * mebibyte;
}

/// A body that has been written under the object's name, or would have been, had there not been bytes
/// already.
struct Uploads::Taken {
  Stored stored;
  std::string hash;  // of what came: md5 of plaintext, sha256 of sealed bytes
  bool committed = false;
};

Task<Stored> Uploads::put_plain(Object row, http::Request& request) {
  if (request.content_length && *request.content_length > size_limit(row.kind)) throw_too_large(row);
  if (row.status == "live") {
    Meter meter(crypto::HashKind::md5, size_limit(row.kind));
    co_await drain(*request.body, meter, row);
    Stored given{static_cast<std::int64_t>(meter.size()), meter.finish()};
    co_return co_await same_as_before(std::move(row), std::move(given));
  }
  Taken taken = co_await seal_body(row, request);
  if (taken.committed) co_return co_await mark_live(row, std::move(taken.stored));
  // Somebody was faster, or an upload before this one ended between its bytes and its row.
  Stored stored = co_await digest_of_stored(row);
  co_await mark_live(row, stored);
  if (stored.size != taken.stored.size || stored.md5 != taken.stored.md5) throw_other_bytes();
  co_return stored;
}

Task<Uploads::Taken> Uploads::seal_body(const Object& row, http::Request& request) {
  sealed::DataKey key = co_await needs_.vault.data_key(transit_key);
  sealed::Identity identity{row.id.text(), row.kind, row.workspace, row.facts};
  identity.extra["time"] = iso8601(now());
  sealed::Sealer sealer(std::move(key), std::move(identity));
  std::unique_ptr<blob::Writer> writer =
      co_await needs_.store.create(blob::object_name(row.kind, row.id.text()));
  co_await writer->write(sealer.begin());
  Meter meter(crypto::HashKind::md5, size_limit(row.kind));
  auto piece = std::make_unique_for_overwrite<char[]>(piece_size);
  while (std::size_t count = co_await request.body->read({piece.get(), piece_size})) {
    std::string_view plain(piece.get(), count);
    meter.add(plain, row);
    std::string sealed = sealer.update(plain);
    if (!sealed.empty()) co_await writer->write(sealed);
  }
  std::string last = sealer.finish();
  co_await writer->write(last);
  Taken taken;
  taken.hash = meter.finish();
  taken.stored = {static_cast<std::int64_t>(meter.size()), taken.hash};
  taken.committed = co_await commit(*writer);
  co_return taken;
}

Task<Stored> Uploads::put_sealed(Object row, http::Request& request) {
  std::uint64_t limit = sealed::sealed_size(size_limit(row.kind), sealed::header_limit);
  if (request.content_length && *request.content_length > limit) throw_too_large(row);
  Taken taken;
  if (row.status == "live") {
    Meter meter(crypto::HashKind::sha256, limit);
    co_await drain(*request.body, meter, row);
    taken.hash = meter.finish();
  } else {
    taken = co_await store_sealed_body(row, request);
    if (taken.committed) co_return co_await mark_live(row, std::move(taken.stored));
  }
  std::string present = co_await hash_of_sealed(row);
  if (present != taken.hash) throw_other_bytes();
  if (row.status == "live") co_return Stored{row.size.value_or(0), row.md5};
  co_return co_await mark_live(row, std::move(taken.stored));
}

Task<Uploads::Taken> Uploads::store_sealed_body(const Object& row, http::Request& request) {
  std::string front;
  sealed::Header header = co_await take_header(row, *request.body, front);
  std::unique_ptr<blob::Writer> writer =
      co_await needs_.store.create(blob::object_name(row.kind, row.id.text()));
  Meter meter(crypto::HashKind::sha256, sealed::sealed_size(size_limit(row.kind), header.size()));
  meter.add(front, row);
  co_await writer->write(front);
  auto piece = std::make_unique_for_overwrite<char[]>(piece_size);
  while (std::size_t count = co_await request.body->read({piece.get(), piece_size})) {
    std::string_view sealed(piece.get(), count);
    meter.add(sealed, row);
    co_await writer->write(sealed);
  }
  std::optional<std::uint64_t> size = sealed::plain_size(meter.size(), header.size());
  if (!size) throw Error(Code::unprocessable, "The body is not a whole sealed object.");
  Taken taken;
  taken.stored.size = static_cast<std::int64_t>(*size);
  taken.hash = meter.finish();
  taken.committed = co_await commit(*writer);
  co_return taken;
}

/// The bytes are durable: now the row says so. Returns what the row says.
Task<Stored> Uploads::mark_live(const Object& row, Stored stored) {
  for (int attempt = 1; attempt <= 2; ++attempt) {
    try {
      postgres::Tx tx = co_await needs_.database.begin();
      bool marked = co_await object::mark_live(tx, row.id, stored.size, stored.md5);
      co_await tx.commit();
      if (marked) co_return stored;
      break;
    } catch (const postgres::UnknownCommit&) {
      if (attempt == 2) throw;
    }
  }
  // It was live already, or it has been deleted under our hands.
  std::optional<Row> present = co_await needs_.rows.fresh(row.id);
  if (present && present->object.status == "live")
    co_return Stored{present->object.size.value_or(0), present->object.md5};
  co_await needs_.store.remove(blob::object_name(row.kind, row.id.text()));
  throw Error(Code::not_found, "This object has been deleted.");
}

/// The rule for a repetition: equal bytes are answered as the first time.
Task<Stored> Uploads::same_as_before(Object row, Stored given) {
  Stored stored{row.size.value_or(0), row.md5};
  // What a shim sealed has no MD5 in its row.
  if (stored.size == given.size && !stored.md5) stored = co_await digest_of_stored(std::move(row));
  if (stored.size != given.size || stored.md5 != given.md5) throw_other_bytes();
  co_return given;
}

Task<Stored> Uploads::digest_of_stored(Object row) {
  SealedObject object = co_await SealedObject::open(needs_.store, row);
  std::shared_ptr<http::ByteSource> plain = co_await object.read_all(needs_.keys);
  Meter meter(crypto::HashKind::md5, UINT64_MAX);
  co_await drain(*plain, meter, row);
  co_return Stored{static_cast<std::int64_t>(meter.size()), meter.finish()};
}

Task<std::string> Uploads::hash_of_sealed(const Object& row) {
  std::unique_ptr<blob::Reader> reader =
      co_await needs_.store.open(blob::object_name(row.kind, row.id.text()));
  Meter meter(crypto::HashKind::sha256, UINT64_MAX);
  co_await drain(*reader, meter, row);
  co_return meter.finish();
}

}  // namespace terrane::archivist
