#include "user/tokens.h"

#include "base/log.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "user/tokens_sql.h"

namespace terrane::user {
namespace {

constexpr std::chrono::milliseconds cache_life{5'000};
constexpr std::size_t cache_entries = 10'000;
constexpr std::size_t longest_token = 256;
constexpr std::int64_t most_tokens = 1000;  // of one owner

const std::array attributes{
    jsonapi::attr<&Token::created_at>("created-at", "created_at"),
    jsonapi::attr<&Token::last_used_at>("last-used-at", "last_used_at"),
    jsonapi::attr<&Token::description>("description", "description", jsonapi::create),
    jsonapi::attr<&Token::expired_at>("expired-at", "expired_at", jsonapi::create),
    jsonapi::attr<&Token::kind>("kind", "kind", jsonapi::hidden),
    jsonapi::attr<&Token::owner_id>("owner", "owner_id", jsonapi::hidden),
    jsonapi::attr<&Token::created_by>("created-by-id", "created_by", jsonapi::hidden),
    jsonapi::attr<&Token::created_by_name>("created-by-name", "created_by_name", jsonapi::hidden),
};
const jsonapi::Resource table{"authentication-tokens", attributes, {}};

/// Who made a token: a user, a team or, shown by its name, an organization.
json::object creator(const Token& token) {
  if (!token.created_by) return {{"data", nullptr}};
  std::string_view type = "users";
  std::string id = *token.created_by;
  if (id.starts_with("team-")) type = "teams";
  if (id.starts_with("org-")) {
    type = "organizations";
    id = token.created_by_name.value_or(id);
  }
  return {{"data", json::object{{"id", id}, {"type", type}}}};
}

std::optional<api::Principal> principal_of(const postgres::Row& row) {
  using Kind = api::Principal::Kind;
  std::optional<std::string> name = row.opt_string("name");
  if (!name) return std::nullopt;
  const std::string_view kind = row.text("kind");
  api::Principal principal;
  if (kind == "user")
    principal.kind = Kind::user;
  else if (kind == "team")
    principal.kind = Kind::team;
  else if (kind == "run")
    principal.kind = Kind::run;
  else if (kind == "organization")
    principal.kind = Kind::organization;
  else if (kind == "audit-trails")
    principal.kind = Kind::audit_trails;
  else
    return std::nullopt;  // an agent's token opens no public route
  principal.id = row.string("owner_id");
  principal.name = std::move(*name);
  principal.site_admin = row.boolean("is_site_admin");
  principal.organization_id = row.opt_string("organization_id").value_or("");
  principal.workspace_id = row.opt_string("workspace_id").value_or("");
  principal.token_id = row.string("id");
  return principal;
}

}  // namespace

Token token_from_row(const postgres::Row& row) {
  Token token = jsonapi::from_row<Token>(table, row);
  token.id = Id<Token>(row.string("id"));
  return token;
}

json::object encode(const Token& token, const Secret* shown) {
  json::object out = jsonapi::encode(table, &token, token.id.text());
  json::object relations{{"created-by", creator(token)}};
  if (token.kind == "team")
    relations["team"] = json::object{{"data", json::object{{"id", token.owner_id}, {"type", "teams"}}}};
  out["relationships"] = std::move(relations);
  out["attributes"].as_object()["token"] = shown ? json::value(shown->reveal()) : json::value();
  return out;
}

Tokens::Tokens(postgres::Database& database, Secret hmac_key)
    : database_(database), hmac_key_(std::move(hmac_key)) {}

std::string Tokens::hash(std::string_view token) const {
  return crypto::hmac_sha256(hmac_key_.reveal(), token);
}

Task<NewToken> Tokens::create(postgres::Tx& tx, std::string_view kind, const std::string& owner_id,
                              std::optional<std::string> description, std::optional<std::string> created_by,
                              std::optional<Time> expired_at) {
  if (kind != "run") {
    postgres::Result count = co_await tx.run(sql::token_count, postgres::Params::of(kind, owner_id));
    if (count[0].integer("total") >= most_tokens)
      throw Error(Code::unprocessable, "There are " + std::to_string(most_tokens) +
                                           " tokens already, which is the most that one can have.");
  }
  NewToken made;
  made.token = Secret(crypto::random_text(14) + ".atlasv1." + crypto::random_text(67));
  made.row.id = Id<Token>::make();
  made.row.kind = kind;
  made.row.owner_id = owner_id;
  made.row.description = std::move(description);
  made.row.created_by = std::move(created_by);
  made.row.expired_at = expired_at;
  const std::string hashed = hash(made.token.reveal());
  postgres::Result result =
      co_await tx.run(sql::token_insert, postgres::Params::of(made.row.id, made.row.kind, made.row.owner_id,
                                                              postgres::Bytes{hashed}, made.row.description,
                                                              made.row.created_by, made.row.expired_at));
  made.row.created_at = result[0].time("created_at");
  made.row.created_by_name = result[0].opt_string("created_by_name");
  co_return made;
}

Task<std::size_t> Tokens::revoke_all(postgres::Tx& tx, std::string_view kind, const std::string& owner_id) {
  postgres::Result gone = co_await tx.run(sql::token_revoke_all, postgres::Params::of(kind, owner_id));
  co_return gone.size();
}

Task<bool> Tokens::revoke(postgres::Tx& tx, std::string_view kind, const std::string& owner_id,
                          const std::string& token_id) {
  postgres::Result gone = co_await tx.run(sql::token_revoke, postgres::Params::of(token_id, kind, owner_id));
  co_return !gone.empty();
}

Task<std::optional<Token>> Tokens::find(postgres::Tx& tx, std::string_view kind, const std::string& owner_id,
                                        const std::string& token_id) {
  postgres::Result result = co_await tx.run(sql::token_find, postgres::Params::of(token_id, kind, owner_id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return token_from_row(*row);
}

Task<std::optional<Token>> Tokens::find_any(postgres::Tx& tx, const std::string& token_id) {
  postgres::Result result = co_await tx.run(sql::token_find_any, postgres::Params::of(token_id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return token_from_row(*row);
}

Task<std::pair<std::vector<Token>, std::int64_t>> Tokens::list(postgres::Tx& tx, std::string_view kind,
                                                               const std::string& owner_id,
                                                               const jsonapi::Page& page) {
  postgres::Result total = co_await tx.run(sql::token_count, postgres::Params::of(kind, owner_id));
  postgres::Result rows =
      co_await tx.run(sql::token_list, postgres::Params::of(kind, owner_id, page.size, page.offset()));
  std::vector<Token> tokens;
  for (std::size_t i = 0; i < rows.size(); ++i) tokens.push_back(token_from_row(rows[i]));
  co_return std::pair(std::move(tokens), total[0].integer("total"));
}

Task<std::optional<api::Principal>> Tokens::authenticate(const std::string& token) {
  if (token.empty() || token.size() > longest_token) co_return std::nullopt;
  const std::string key = hash(token);
  auto found = cache_.find(key);
  if (found != cache_.end() && found->second.until > std::chrono::steady_clock::now())
    co_return found->second.principal;

  const std::uint64_t generation = generation_;
  postgres::Result result =
      co_await database_.query(sql::token_authenticate, postgres::Params::of(postgres::Bytes{key}));
  std::optional<postgres::Row> row = result.one();
  std::optional<api::Principal> principal;
  std::chrono::milliseconds life = cache_life;
  if (row) {
    principal = principal_of(*row);
    life = std::min(life,
                    std::chrono::milliseconds(row->opt_integer("milliseconds_left").value_or(life.count())));
  }
  if (generation == generation_) keep(key, principal, life);
  if (principal && row->boolean("untouched")) {
    try {
      co_await database_.query(sql::token_touch, postgres::Params::of(principal->token_id));
    } catch (const Error& error) {
      // That the moment of use could not be noted is no reason to turn the caller away.
      log::warn("token's use was not noted", {{"token_id", principal->token_id}, {"error", error.what()}});
    }
  }
  co_return principal;
}

void Tokens::keep(const std::string& key, const std::optional<api::Principal>& principal,
                  std::chrono::milliseconds life) {
  const auto now = std::chrono::steady_clock::now();
  if (cache_.size() >= cache_entries) {
    std::erase_if(cache_, [now](const auto& entry) { return entry.second.until <= now; });
    if (cache_.size() >= cache_entries) cache_.clear();
  }
  cache_.insert_or_assign(key, Cached{principal, now + life});
}

void Tokens::forget(const std::string& token_id) {
  ++generation_;
  if (token_id.empty()) {
    cache_.clear();
    return;
  }
  std::erase_if(cache_, [&](const auto& entry) {
    return entry.second.principal && entry.second.principal->token_id == token_id;
  });
}

}  // namespace terrane::user
