#include "base/error.h"
#include "base/text.h"
#include "base/time.h"
#include "transit/vault_impl.h"

namespace terrane::transit {
namespace {

constexpr std::size_t most_policies = 64;
constexpr std::size_t most_meta = 64;
constexpr std::size_t longest_text = 256;

std::int64_t span_member(const json::object& body, std::string_view name) {
  const json::value* value = body.if_contains(name);
  if (!value || value->is_null()) return 0;
  std::optional<std::int64_t> seconds = parse_seconds(*value);
  if (!seconds)
    throw Error(Code::invalid,
                "error converting input for field \"" + std::string(name) + "\": expected a duration");
  return *seconds;
}

/// The names asked for, in lower case, each once and in order.
std::vector<std::string> policies_member(const json::object& body) {
  std::set<std::string> names;
  if (const json::value* value = body.if_contains("policies"); value && !value->is_null()) {
    if (!value->is_array())
      throw Error(Code::invalid, "error converting input for field \"policies\": expected a list of strings");
    for (const json::value& name : value->get_array()) {
      if (!name.is_string() || name.get_string().empty() || name.get_string().size() > longest_text) {
        throw Error(Code::invalid,
                    "error converting input for field \"policies\": expected a list of strings");
      }
      names.insert(lower(std::string_view(name.get_string())));
    }
  }
  if (names.size() > most_policies)
    throw Error(Code::invalid, "a token may have at most " + std::to_string(most_policies) + " policies");
  return {names.begin(), names.end()};
}

json::object meta_member(const json::object& body) {
  const json::value* value = body.if_contains("meta");
  if (!value || value->is_null()) return {};
  const json::object* meta = value->if_object();
  bool good = meta && meta->size() <= most_meta &&
              std::all_of(meta->begin(), meta->end(), [](const json::key_value_pair& member) {
                return member.key().size() <= longest_text && member.value().is_string() &&
                       member.value().get_string().size() <= longest_text;
              });
  if (!good)
    throw Error(Code::invalid,
                "error converting input for field \"meta\": expected at most 64 short strings by name");
  return *meta;
}

json::array names_array(const std::vector<std::string>& names) {
  json::array list;
  for (const std::string& name : names) list.emplace_back(name);
  return list;
}

json::object auth_object(const Token& token, const Secret& text) {
  json::object auth;
  auth["client_token"] = text.reveal();
  auth["accessor"] = token.accessor;
  auth["policies"] = names_array(token.policies);
  auth["token_policies"] = names_array(token.policies);
  if (token.meta.empty())
    auth["metadata"] = nullptr;
  else
    auth["metadata"] = token.meta;
  auth["lease_duration"] = token.seconds_left();
  auth["renewable"] = token.renewable;
  auth["entity_id"] = "";
  auth["token_type"] = "service";
  auth["orphan"] = token.parent.empty();
  auth["mfa_requirement"] = nullptr;
  auth["num_uses"] = 0;
  return auth;
}

json::value moment(std::int64_t seconds) {
  if (seconds == 0) return nullptr;
  return json::value(iso8601(Time(std::chrono::seconds(seconds))));
}

Secret text_of(const Call& call) {
  std::optional<std::string_view> token = call.request.headers.find("X-Vault-Token");
  if (token) return Secret(std::string(trim(*token)));
  return Secret(std::string(trim(call.request.headers.find("Authorization").value_or("").substr(7))));
}

}  // namespace

Task<http::Response> VaultServerImpl::create_token(Call& call) { return issue_token(call, false); }
Task<http::Response> VaultServerImpl::create_orphan(Call& call) { return issue_token(call, true); }

Task<http::Response> VaultServerImpl::issue_token(Call& call, bool orphan) {
  for (std::string_view name : {"id", "num_uses", "entity_alias"}) refuse_member(call.body, name);
  std::string type = text_member(call.body, "type").value_or("service");
  if (type != "service" && !type.empty() && type != "default")
    throw Error(Code::invalid, "tokens of type '" + type + "' are not supported");
  bool sudo = may(call, call.path, Capability::sudo);
  TokenRequest request;
  request.path = call.path;
  request.policies = policies_member(call.body);
  request.meta = meta_member(call.body);
  std::string display = text_member(call.body, "display_name").value_or("");
  if (display.size() > longest_text) throw Error(Code::invalid, "display_name is longer than 256 bytes");
  if (!display.empty()) request.display_name = "token-" + display;
  request.ttl = span_member(call.body, "ttl");
  request.period = span_member(call.body, "period");
  request.explicit_max_ttl = span_member(call.body, "explicit_max_ttl");
  request.renewable = flag_member(call.body, "renewable").value_or(true);
  orphan = orphan || flag_member(call.body, "no_parent").value_or(false);
  if (!sudo && (orphan || request.period > 0)) {
    throw Error(Code::invalid, "root or sudo privileges required to create an orphan or a periodic token");
  }
  if (request.policies.empty()) request.policies = call.token->policies;
  for (const std::string& name : request.policies) {
    bool held = std::find(call.token->policies.begin(), call.token->policies.end(), name) !=
                call.token->policies.end();
    if (name == "root" && !call.token->is_root())
      throw Error(Code::invalid, "root tokens may not be created without parent token being root");
    if (!held && !sudo && name != "default")
      throw Error(Code::invalid, "child policies must be subset of parent");
  }
  bool is_root =
      std::find(request.policies.begin(), request.policies.end(), "root") != request.policies.end();
  bool has_default =
      std::find(request.policies.begin(), request.policies.end(), "default") != request.policies.end();
  if (is_root && call.token->expires != 0 && request.ttl == 0 && request.period == 0) {
    throw Error(Code::invalid, "expiring root tokens cannot create non-expiring root tokens");
  }
  if (!is_root && !has_default && !flag_member(call.body, "no_default_policy").value_or(false)) {
    request.policies.insert(std::upper_bound(request.policies.begin(), request.policies.end(), "default"),
                            "default");
  }
  TokenStore::Issued issued = co_await tokens.create(std::move(request), orphan ? nullptr : call.token);
  co_return reply_auth(auth_object(*issued.entry, issued.token));
}

Task<http::Response> VaultServerImpl::lookup_self(Call& call) {
  const Token& token = *call.token;
  json::object data;
  data["accessor"] = token.accessor;
  data["creation_time"] = token.created;
  data["creation_ttl"] = token.ttl;
  data["display_name"] = token.display_name;
  data["entity_id"] = "";
  data["expire_time"] = moment(token.expires);
  data["explicit_max_ttl"] = token.explicit_max_ttl;
  data["id"] = text_of(call).reveal();
  data["issue_time"] = moment(token.created);
  if (token.renewed != 0) {
    data["last_renewal"] = moment(token.renewed);
    data["last_renewal_time"] = token.renewed;
  }
  if (token.meta.empty())
    data["meta"] = nullptr;
  else
    data["meta"] = token.meta;
  data["num_uses"] = 0;
  data["orphan"] = token.parent.empty();
  data["path"] = token.path;
  if (token.period > 0) data["period"] = token.period;
  data["policies"] = names_array(token.policies);
  data["renewable"] = token.renewable;
  data["ttl"] = token.seconds_left();
  data["type"] = "service";
  co_return reply_data(std::move(data), "token");
}

Task<http::Response> VaultServerImpl::renew_self(Call& call) {
  std::int64_t increment = span_member(call.body, "increment");
  TokenPointer renewed = co_await tokens.renew(call.token, increment);
  co_return reply_auth(auth_object(*renewed, text_of(call)));
}

Task<http::Response> VaultServerImpl::revoke_self(Call& call) {
  co_await tokens.revoke(call.token);
  co_return reply_empty();
}

}  // namespace terrane::transit
