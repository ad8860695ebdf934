#pragma once
#include <chrono>
#include <map>
#include <optional>
#include <string>

#include "api/api.h"
#include "base/id.h"
#include "base/secret.h"
#include "base/time.h"
#include "jsonapi/resource.h"
#include "postgres/database.h"

namespace terrane::user {

/// An API token's row. The token itself is shown once, when it is made; kept is its HMAC.
struct Token {
  static constexpr std::string_view id_prefix = "at";
  Id<Token> id;
  std::string kind;  ///< user, organization, audit-trails, team, run or agent
  std::string owner_id;
  std::optional<std::string> description;
  std::optional<std::string> created_by;       ///< id of a user, team or organization
  std::optional<std::string> created_by_name;  ///< of an organization, which API v2 shows by name
  Time created_at;
  std::optional<Time> last_used_at;
  std::optional<Time> expired_at;
};

struct NewToken {
  Token row;
  Secret token;  ///< `<14>.atlasv1.<67>`, the vendor's shape
};

/// The resource object of a token. `shown` is the token itself, which only the answer to its creation
/// carries.
json::object encode(const Token& token, const Secret* shown = nullptr);

/// A token from a row with the columns of `tokens` and `created_by_name`.
Token token_from_row(const postgres::Row& row);

/// Makes, checks and forgets tokens. Answers are kept for at most 5 seconds and dropped at once by `forget`,
/// which whoever listens to NOTIFY terrane_tokens (payload: a token id, or empty for all) calls on each node.
class Tokens {
 public:
  /// `hmac_key` is the installation's secret `token-hmac`.
  Tokens(postgres::Database& database, Secret hmac_key);

  /// Makes a token in the caller's transaction. `expired_at` ends it.
  Task<NewToken> create(postgres::Tx& tx, std::string_view kind, const std::string& owner_id,
                        std::optional<std::string> description, std::optional<std::string> created_by,
                        std::optional<Time> expired_at);
  /// Ends all tokens of an owner, e.g. a run's when its phase is over. Notifies all nodes when `tx` commits.
  /// Returns how many there were.
  static Task<std::size_t> revoke_all(postgres::Tx& tx, std::string_view kind, const std::string& owner_id);
  /// Ends one token of an owner; false when the owner has none with that id.
  Task<bool> revoke(postgres::Tx& tx, std::string_view kind, const std::string& owner_id,
                    const std::string& token_id);
  /// One token of an owner; nothing when the owner has none with that id.
  Task<std::optional<Token>> find(postgres::Tx& tx, std::string_view kind, const std::string& owner_id,
                                  const std::string& token_id);
  /// A token by its id alone; whether it may be shown is the caller's question.
  Task<std::optional<Token>> find_any(postgres::Tx& tx, const std::string& token_id);
  /// An owner's tokens, newest first, and how many there are in all.
  Task<std::pair<std::vector<Token>, std::int64_t>> list(postgres::Tx& tx, std::string_view kind,
                                                         const std::string& owner_id,
                                                         const jsonapi::Page& page);

  /// Who a token stands for; nothing when it is unknown, expired or its owner is gone.
  Task<std::optional<api::Principal>> authenticate(const std::string& token);

  /// Drops cached answers: for one token id, or all with an empty one.
  void forget(const std::string& token_id);

  /// The HMAC under which a token (also a one-time one) is stored, raw.
  std::string hash(std::string_view token) const;

 private:
  struct Cached {
    std::optional<api::Principal> principal;
    std::chrono::steady_clock::time_point until;
  };
  void keep(const std::string& key, const std::optional<api::Principal>& principal,
            std::chrono::milliseconds life);
  postgres::Database& database_;
  Secret hmac_key_;
  std::uint64_t generation_ = 0;  // counts `forget`: an answer that was under way meanwhile is not kept
  std::map<std::string, Cached, std::less<>> cache_;
};

}  // namespace terrane::user
