#pragma once
#include <optional>
#include <string>
#include <string_view>

#include "archivist/keys.h"
#include "archivist/rows.h"
#include "blob/store.h"
#include "http/message.h"
#include "postgres/database.h"
#include "vault_client/vault.h"

namespace terrane::archivist {

/// The most bytes of plaintext an object of this kind may have.
std::uint64_t size_limit(std::string_view kind);

/// What was stored: bytes and, where it is known, MD5 (hex) of the plaintext.
struct Stored {
  std::int64_t size = 0;
  std::optional<std::string> md5;
};

/// Takes the bytes of objects: streamed with constant memory, durable before the row says `live`. The same
/// bytes may come again at any time, also at the same time; other bytes for an object that has some are
/// Error{conflict}. All methods suspend and throw Error{not_found} when the object is deleted,
/// Error{too_large} naming the limit, Error{invalid} when the body breaks off, Error{unavailable} when a
/// store, vault or database is away. After any of these nothing is stored, except that bytes may be durable
/// already when the database is the one that is away; then a repetition finds them.
class Uploads {
 public:
  struct Needs {
    postgres::Database& database;
    vault_client::Vault& vault;
    blob::Store& store;
    Rows& rows;
    KeyCache& keys;
  };
  explicit Uploads(Needs needs) : needs_(needs) {}

  /// Takes plaintext and seals it under a fresh data key.
  Task<Stored> put_plain(Object row, http::Request& request);
  /// Takes an object that was sealed elsewhere. Throws Error{unprocessable} unless it is whole and names this
  /// object.
  Task<Stored> put_sealed(Object row, http::Request& request);

 private:
  struct Taken;
  Task<Taken> seal_body(const Object& row, http::Request& request);
  Task<Taken> store_sealed_body(const Object& row, http::Request& request);
  Task<Stored> mark_live(const Object& row, Stored stored);
  Task<Stored> digest_of_stored(Object row);
  Task<std::string> hash_of_sealed(const Object& row);
  Task<Stored> same_as_before(Object row, Stored given);

  Needs needs_;
};

}  // namespace terrane::archivist
