#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.h"
#include "base/secret.h"
#include "base/task.h"
#include "transit/barrier.h"
#include "transit/read_cache.h"

namespace terrane::transit {

/// What the vault knows of a token. The token itself is kept nowhere: `hash` is its HMAC. Times are seconds
/// of the epoch, spans seconds.
struct Token {
  std::string hash;
  std::string accessor;
  std::string parent;  ///< hash of the token that made it, empty for an orphan
  std::vector<std::string> policies;
  std::string display_name;
  std::string path;  ///< which endpoint made it
  json::object meta;
  std::int64_t created = 0;
  std::int64_t renewed = 0;  ///< 0: never
  std::int64_t expires = 0;  ///< 0: never
  std::int64_t ttl = 0;      ///< as given at its creation, 0: it does not expire
  std::int64_t period = 0;
  std::int64_t explicit_max_ttl = 0;
  int depth = 0;  ///< number of ancestors
  bool renewable = true;

  bool is_root() const;
  /// Seconds that are left, 0 for one that does not expire.
  std::int64_t seconds_left() const;
};
using TokenPointer = std::shared_ptr<const Token>;

/// What a new token shall be.
struct TokenRequest {
  std::vector<std::string> policies;
  std::string display_name = "token";
  std::string path = "auth/token/create";
  json::object meta;
  std::int64_t ttl = 0;  ///< 0: the default of 32 days, or no end for a root token
  std::int64_t period = 0;
  std::int64_t explicit_max_ttl = 0;
  bool renewable = true;
};

/// The tokens. Each request's token is looked up in memory, at most 1 s old, or up to an hour while the
/// storage is away. A token dies with its ancestors. One executor; the barrier outlives it. Verbs suspend and
/// throw Error{unavailable} when the storage is away and nothing is held.
class TokenStore {
 public:
  explicit TokenStore(Barrier& barrier);

  /// The valid token, null when there is none.
  Task<TokenPointer> find(Secret token);
  struct Issued {
    Secret token;
    TokenPointer entry;
  };
  /// Makes a token below `parent` (null: an orphan).
  Task<Issued> create(TokenRequest request, TokenPointer parent);
  /// Extends a token by `increment` seconds (0: its own ttl or period). Throws Error{invalid} when it cannot
  /// be renewed.
  Task<TokenPointer> renew(TokenPointer token, std::int64_t increment);
  /// Ends the token and, with it, all that it made.
  Task<> revoke(TokenPointer token);
  /// Removes the rows of tokens that are no longer valid. Returns how many.
  Task<std::size_t> sweep();
  void clear() noexcept { cache_.clear(); }

  /// The row of a root token, for a vault that is being made.
  static std::pair<std::string, Secret> root_row(const Keyring& keyring, const Secret& token);

 private:
  Task<TokenPointer> by_hash(std::string hash);
  Task<TokenPointer> load(std::string hash);
  Task<bool> is_valid(TokenPointer token);
  Barrier& barrier_;
  ReadCache<Token> cache_;
};

/// A fresh token text.
Secret make_token();
/// Reads `3600`, `"3600"`, `"90s"`, `"1h30m"`, `"7d"` as seconds; nothing on anything else or above 10 years.
std::optional<std::int64_t> parse_seconds(const json::value& value);

}  // namespace terrane::transit
