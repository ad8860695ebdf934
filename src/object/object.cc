#include "object/object.h"

#include "base/text.h"
#include "crypto/hash.h"
#include "object/object_sql.h"

namespace terrane::object {
namespace {

constexpr std::string_view letter(Access access) {
  switch (access) {
    case Access::read: return "r";
    case Access::write: return "w";
    case Access::log: return "l";
  }
  return "?";
}

std::optional<Access> from_letter(std::string_view text) {
  for (Access access : {Access::read, Access::write, Access::log}) {
    if (text == letter(access)) return access;
  }
  return std::nullopt;
}

}  // namespace

Task<> insert(postgres::Tx& tx, const Id<Object>& id, std::string_view kind, const std::string& workspace_id,
              const std::map<std::string, std::string>& facts) {
  co_await tx.run(sql::object_insert, postgres::Params::of(id, kind, workspace_id, facts_to_json(facts)));
}

Task<> insert_if_absent(postgres::Tx& tx, const Id<Object>& id, std::string_view kind,
                        const std::string& workspace_id) {
  co_await tx.run(sql::object_insert_if_absent, postgres::Params::of(id, kind, workspace_id));
  std::optional<Object> object = co_await find(tx, id);
  if (!object || object->kind != kind || object->workspace != workspace_id) {
    throw Error(Code::conflict, "The object " + id.text() + " is another one.");
  }
}

Task<std::optional<Object>> find(postgres::Tx& tx, const Id<Object>& id) {
  postgres::Result result = co_await tx.run(sql::object_find, postgres::Params::of(id));
  std::optional<postgres::Row> row = result.one();
  if (!row) co_return std::nullopt;
  co_return Object{Id<Object>(row->string("id")),      row->string("kind"),
                   row->string("workspace"),           row->string("status"),
                   row->opt_integer("size"),           row->opt_string("md5"),
                   facts_from_json(row->json("facts"))};
}

Task<bool> mark_live(postgres::Tx& tx, const Id<Object>& id, std::int64_t size,
                     const std::optional<std::string>& md5) {
  postgres::Result result = co_await tx.run(sql::object_mark_live, postgres::Params::of(id, size, md5));
  co_return result.affected() == 1;
}

Task<bool> adopt(postgres::Tx& tx, const Id<Object>& id, std::string_view kind,
                 const std::string& workspace_id, std::int64_t size, const std::string& md5) {
  co_await tx.run(sql::object_adopt, postgres::Params::of(id, kind, workspace_id, size, md5));
  std::optional<Object> object = co_await find(tx, id);
  co_return object && object->status == "live" && object->kind == kind && object->workspace == workspace_id;
}

json::object facts_to_json(const std::map<std::string, std::string>& facts) {
  json::object out;
  for (const auto& [key, value] : facts) out[key] = value;
  return out;
}

std::map<std::string, std::string> facts_from_json(const json::value& value) {
  std::map<std::string, std::string> out;
  if (!value.is_object()) return out;
  for (const auto& [key, fact] : value.get_object()) {
    if (fact.is_string()) out[std::string(key)] = std::string(fact.get_string());
  }
  return out;
}

Task<> mark_deleted(postgres::Tx& tx, const Id<Object>& id) {
  co_await tx.run(sql::object_mark_deleted, postgres::Params::of(id));
}

Task<> insert_unowned(postgres::Tx& tx, const Id<Object>& id, std::string_view kind,
                      const std::string& owner) {
  co_await tx.run(sql::object_insert_unowned, postgres::Params::of(id, kind, owner));
}

namespace {

/// Why an action is not possible; empty when it is.
std::string_view refusal(Backing action, std::string_view status, bool hidden) {
  if (status == "deleted") return "the backing data is permanently deleted";
  if (status != "live") return "there is no backing data";
  if (action == Backing::soft_delete) return hidden ? "the backing data is soft deleted already" : "";
  return hidden ? "" : "the backing data is not soft deleted";
}

}  // namespace

Task<> change_backing(postgres::Tx& tx, const std::vector<std::string>& objects, Backing action) {
  postgres::Result rows = co_await tx.run(sql::object_lock_all, postgres::Params::of(objects));
  std::string_view wrong = "there is no backing data";
  for (std::size_t i = 0; i < rows.size(); ++i) {
    if (rows[i].text("id") == objects.front())
      wrong = refusal(action, rows[i].text("status"), rows[i].boolean("hidden"));
  }
  if (!wrong.empty()) throw Error(Code::conflict, "transition not allowed: " + std::string(wrong) + ".");
  switch (action) {
    case Backing::soft_delete: co_await tx.run(sql::object_hide_all, postgres::Params::of(objects)); break;
    case Backing::restore: co_await tx.run(sql::object_unhide_all, postgres::Params::of(objects)); break;
    case Backing::permanently_delete:
      co_await tx.run(sql::object_delete_all, postgres::Params::of(objects));
      break;
  }
}

std::string UrlSigner::sign(const Grant& grant) const {
  std::string text =
      std::string(letter(grant.access)) + "." + grant.object.text() + "." + std::to_string(grant.expires);
  return text + "." + base64url(crypto::hmac_sha256(key_.reveal(), text));
}

std::string UrlSigner::path(Access access, const Id<Object>& object, std::chrono::seconds life) const {
  auto minute = std::chrono::ceil<std::chrono::minutes>(now());
  std::int64_t expires =
      std::chrono::duration_cast<std::chrono::seconds>(minute.time_since_epoch()).count() + life.count();
  std::string_view folder = access == Access::log ? "log" : "object";
  return "/_archivist/v1/" + std::string(folder) + "/" + sign({access, object, expires});
}

std::optional<Grant> UrlSigner::verify(std::string_view token) const {
  if (token.size() > 256) return std::nullopt;
  std::vector<std::string_view> parts = split(token, '.');
  if (parts.size() != 4) return std::nullopt;
  std::optional<Access> access = from_letter(parts[0]);
  std::optional<std::int64_t> expires = parse_int(parts[2]);
  if (!access || !expires) return std::nullopt;
  Grant grant{*access, Id<Object>(std::string(parts[1])), *expires};
  if (!crypto::equal(sign(grant), token)) return std::nullopt;
  return grant;
}

}  // namespace terrane::object
