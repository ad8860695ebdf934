#include "transit/token_store.h"

#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "crypto/hash.h"
#include "crypto/random.h"

namespace terrane::transit {
namespace {

using namespace std::chrono_literals;

constexpr std::string_view row_prefix = "token/";
constexpr std::int64_t default_ttl = 32 * 24 * 3600;
constexpr std::int64_t longest_ttl = 32 * 24 * 3600;
constexpr std::int64_t longest_span = std::int64_t{10} * 366 * 24 * 3600;
constexpr int deepest = 16;
constexpr std::size_t most_held = 10'000;
constexpr auto stale_limit = 1h;

std::int64_t seconds_now() {
  return std::chrono::duration_cast<std::chrono::seconds>(now().time_since_epoch()).count();
}

std::string hash_of(const Keyring& keyring, const Secret& token) {
  return hex(crypto::hmac_sha256(keyring.token_key.reveal(), token.reveal()));
}

Secret to_text(const Token& token) {
  json::object object;
  object["accessor"] = token.accessor;
  object["parent"] = token.parent;
  json::array& policies = object["policies"].emplace_array();
  for (const std::string& policy : token.policies) policies.emplace_back(policy);
  object["display_name"] = token.display_name;
  object["path"] = token.path;
  object["meta"] = token.meta;
  object["created"] = token.created;
  object["renewed"] = token.renewed;
  object["expires"] = token.expires;
  object["ttl"] = token.ttl;
  object["period"] = token.period;
  object["explicit_max_ttl"] = token.explicit_max_ttl;
  object["depth"] = token.depth;
  object["renewable"] = token.renewable;
  return Secret(json::serialize(object));
}

Token parse_token(std::string hash, const Secret& text) {
  try {
    json::value value = parse_json(text.reveal());
    const json::object& object = value.as_object();
    Token token;
    token.hash = std::move(hash);
    token.accessor = require_string(object, "accessor");
    token.parent = require_string(object, "parent");
    for (const json::value& policy : object.at("policies").as_array())
      token.policies.emplace_back(policy.as_string());
    token.display_name = require_string(object, "display_name");
    token.path = require_string(object, "path");
    token.meta = object.at("meta").as_object();
    token.created = require_int(object, "created");
    token.renewed = require_int(object, "renewed");
    token.expires = require_int(object, "expires");
    token.ttl = require_int(object, "ttl");
    token.period = require_int(object, "period");
    token.explicit_max_ttl = require_int(object, "explicit_max_ttl");
    token.depth = static_cast<int>(require_int(object, "depth"));
    token.renewable = find_bool(object, "renewable").value_or(false);
    return token;
  } catch (const std::exception& error) {
    throw Error(Code::internal, "The vault's record of a token is damaged.").add_context(error.what());
  }
}

/// When a token ends that gets `span` seconds from now.
std::int64_t end_after(const Token& token, std::int64_t span, std::int64_t time) {
  std::int64_t end = time + span;
  if (token.period == 0) end = std::min(end, token.created + longest_ttl);
  if (token.explicit_max_ttl > 0) end = std::min(end, token.created + token.explicit_max_ttl);
  return end;
}

}  // namespace

bool Token::is_root() const { return std::find(policies.begin(), policies.end(), "root") != policies.end(); }

std::int64_t Token::seconds_left() const {
  return expires == 0 ? 0 : std::max<std::int64_t>(0, expires - seconds_now());
}

Secret make_token() { return Secret("hvs." + crypto::random_text(40)); }

std::optional<std::int64_t> parse_seconds(const json::value& value) {
  if (value.is_int64()) {
    std::int64_t seconds = value.get_int64();
    return seconds >= 0 && seconds <= longest_span ? std::optional(seconds) : std::nullopt;
  }
  if (!value.is_string()) return std::nullopt;
  std::string_view text = value.get_string();
  if (text.empty()) return 0;
  std::int64_t total = 0;
  while (!text.empty()) {
    std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
    std::optional<std::int64_t> number = parse_int(text.substr(0, digits));
    if (!number || *number > longest_span) return std::nullopt;
    text.remove_prefix(digits);
    std::int64_t unit = 1;
    if (!text.empty()) {
      if (text[0] == 'd')
        unit = 24 * 3600;
      else if (text[0] == 'h')
        unit = 3600;
      else if (text[0] == 'm')
        unit = 60;
      else if (text[0] != 's')
        return std::nullopt;
      text.remove_prefix(1);
    }
    total += *number * unit;
    if (total > longest_span) return std::nullopt;
  }
  return total;
}

TokenStore::TokenStore(Barrier& barrier) : barrier_(barrier), cache_(1s, stale_limit, most_held) {}

std::pair<std::string, Secret> TokenStore::root_row(const Keyring& keyring, const Secret& token) {
  Token root;
  root.accessor = crypto::random_text(24);
  root.policies = {"root"};
  root.display_name = "root";
  root.path = "auth/token/root";
  root.created = seconds_now();
  root.renewable = false;
  return {std::string(row_prefix) + hash_of(keyring, token), to_text(root)};
}

Task<TokenPointer> TokenStore::load(std::string hash) {
  std::optional<Barrier::Entry> entry = co_await barrier_.get(std::string(row_prefix) + hash);
  if (!entry) co_return nullptr;
  co_return std::make_shared<const Token>(parse_token(std::move(hash), entry->value));
}

Task<TokenPointer> TokenStore::by_hash(std::string hash) {
  ReadCache<Token>::Load reader = [this, hash] { return load(hash); };
  co_return co_await cache_.get(hash, std::move(reader));
}

Task<bool> TokenStore::is_valid(TokenPointer token) {
  std::int64_t time = seconds_now();
  for (int level = 0; level <= deepest; ++level) {
    if (!token || (token->expires != 0 && token->expires <= time)) co_return false;
    if (token->parent.empty()) co_return true;
    token = co_await by_hash(token->parent);
  }
  co_return false;
}

Task<TokenPointer> TokenStore::find(Secret token) {
  if (token.empty() || token.reveal().size() > 256) co_return nullptr;
  TokenPointer entry = co_await by_hash(hash_of(barrier_.keyring(), token));
  if (!entry) co_return nullptr;
  bool valid = co_await is_valid(entry);
  co_return valid ? entry : nullptr;
}

Task<TokenStore::Issued> TokenStore::create(TokenRequest request, TokenPointer parent) {
  Secret text = make_token();
  Token token;
  token.hash = hash_of(barrier_.keyring(), text);
  token.accessor = crypto::random_text(24);
  if (parent) {
    token.parent = parent->hash;
    token.depth = parent->depth + 1;
    if (token.depth > deepest) {
      throw Error(Code::invalid, "a token may have at most " + std::to_string(deepest) + " ancestors");
    }
  }
  token.policies = std::move(request.policies);
  token.display_name = std::move(request.display_name);
  token.path = std::move(request.path);
  token.meta = std::move(request.meta);
  token.created = seconds_now();
  token.period = request.period;
  token.explicit_max_ttl = request.explicit_max_ttl;
  token.renewable = request.renewable;
  std::int64_t span = request.period > 0 ? request.period : request.ttl;
  if (span == 0 && token.explicit_max_ttl == 0 && token.is_root()) {
    token.renewable = false;
  } else {
    token.expires = end_after(token, span > 0 ? span : default_ttl, token.created);
    token.ttl = token.expires - token.created;
  }
  if (!co_await barrier_.put(std::string(row_prefix) + token.hash, to_text(token), std::nullopt)) {
    throw_contended("token");
  }
  auto entry = std::make_shared<const Token>(std::move(token));
  cache_.store(entry->hash, entry);
  co_return Issued{std::move(text), entry};
}

Task<TokenPointer> TokenStore::renew(TokenPointer token, std::int64_t increment) {
  std::string path = std::string(row_prefix) + token->hash;
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    std::optional<Barrier::Entry> entry = co_await barrier_.get(path);
    if (!entry) throw Error(Code::forbidden, "permission denied");
    Token renewed = parse_token(token->hash, entry->value);
    if (!renewed.renewable || renewed.expires == 0) throw Error(Code::invalid, "lease is not renewable");
    std::int64_t span = renewed.period > 0 ? renewed.period : (increment > 0 ? increment : renewed.ttl);
    std::int64_t time = seconds_now();
    renewed.expires = end_after(renewed, span, time);
    renewed.renewed = time;
    if (!co_await barrier_.put(path, to_text(renewed), std::move(entry->raw))) continue;
    auto pointer = std::make_shared<const Token>(std::move(renewed));
    cache_.store(pointer->hash, pointer);
    co_return pointer;
  }
  throw_contended("token");
}

Task<> TokenStore::revoke(TokenPointer token) {
  std::string path = std::string(row_prefix) + token->hash;
  for (int attempt = 0; attempt < write_attempts; ++attempt) {
    std::optional<Barrier::Entry> entry = co_await barrier_.get(path);
    if (entry && !co_await barrier_.erase(path, std::move(entry->raw))) continue;
    cache_.erase(token->hash);
    co_return;
  }
  throw_contended("token");
}

Task<std::size_t> TokenStore::sweep() {
  std::size_t removed = 0;
  for (const std::string& path : co_await barrier_.list(std::string(row_prefix))) {
    std::string hash = path.substr(row_prefix.size());
    std::optional<Barrier::Entry> entry = co_await barrier_.get(path);
    if (!entry) continue;
    auto token = std::make_shared<const Token>(parse_token(hash, entry->value));
    bool valid = co_await is_valid(token);
    if (valid) continue;
    if (co_await barrier_.erase(path, std::move(entry->raw))) ++removed;
    cache_.erase(hash);
  }
  co_return removed;
}

}  // namespace terrane::transit
