#include "sealed/header.h"

#include "base/json.h"
#include "base/text.h"
#include "sealed/bytes.h"

namespace terrane::sealed {
namespace {

constexpr unsigned char version = 1;

std::string require_clean(const std::string& text, const char* what) {
  if (!is_clean_utf8(text))
    throw Error(Code::invalid, std::string("A sealed object's ") + what + " must be UTF-8 text without NUL.");
  return text;
}

std::string member(const json::object& object, std::string_view key) {
  auto text = find_string(object, key);
  if (!text) throw Damaged({}, "its header has no text " + std::string(key));
  return *text;
}

Header from_json(const json::object& object) {
  Header header;
  header.identity.object = member(object, "object");
  header.identity.kind = member(object, "kind");
  header.identity.workspace = member(object, "workspace");
  header.wrapped = member(object, "key");
  auto prefix = from_base64(member(object, "prefix"));
  if (!prefix) throw Damaged(header.identity, "its nonce prefix is not base64");
  header.prefix = *prefix;
  if (const json::object* extra = find_object(object, "extra")) {
    for (const auto& [key, value] : *extra) {
      if (!value.is_string()) throw Damaged(header.identity, "an extra member of its header is no text");
      header.identity.extra[std::string(key)] = std::string(value.get_string());
    }
  }
  return header;
}

}  // namespace

Damaged::Damaged(const Identity& identity, std::string_view reason)
    : Error(Code::internal, "A stored object is damaged.") {
  std::string text = "sealed object ";
  text +=
      identity.object.empty() ? "of unknown id" : "'" + identity.object + "' of kind '" + identity.kind + "'";
  add_context(text + ": " + std::string(reason));
}

Header make_header(Identity identity, std::string wrapped, std::string prefix) {
  json::object object;
  object["object"] = require_clean(identity.object, "id");
  object["kind"] = require_clean(identity.kind, "kind");
  object["workspace"] = require_clean(identity.workspace, "workspace");
  object["key"] = require_clean(wrapped, "wrapped key");
  object["prefix"] = base64(prefix);
  json::object& extra = object["extra"].emplace_object();
  for (const auto& [key, value] : identity.extra)
    extra[require_clean(key, "extra name")] = require_clean(value, "extra value");
  std::string text = json::serialize(object);
  if (text.size() > header_limit - header_fixed_size)
    throw Error(Code::invalid, "A sealed object's header may have at most 16384 bytes.");

  std::string bytes(header_magic);
  bytes.push_back(static_cast<char>(version));
  put_u32(bytes, static_cast<std::uint32_t>(text.size()));
  bytes += text;
  return {std::move(identity), std::move(wrapped), std::move(prefix), std::move(bytes)};
}

std::optional<Header> parse_header(std::string_view first_bytes) {
  std::string_view magic = first_bytes.substr(0, header_magic.size());
  if (magic != header_magic.substr(0, magic.size()))
    throw Damaged({}, "it does not begin with the magic number");
  if (first_bytes.size() < header_fixed_size) return std::nullopt;
  unsigned found = static_cast<unsigned char>(first_bytes[header_magic.size()]);
  if (found != version) throw Damaged({}, "its format version " + std::to_string(found) + " is not known");
  std::uint32_t length = get_u32(first_bytes.substr(header_magic.size() + 1));
  if (length > header_limit - header_fixed_size) throw Damaged({}, "its header is too long");
  if (first_bytes.size() < header_fixed_size + length) return std::nullopt;
  json::value value;
  try {
    value = parse_json(first_bytes.substr(header_fixed_size, length), 4);
  } catch (const Error& error) {
    throw Damaged({}, "its header is not JSON: " + error.detail());
  }
  if (!value.is_object()) throw Damaged({}, "its header is no JSON object");
  Header header = from_json(value.get_object());
  header.bytes = std::string(first_bytes.substr(0, header_fixed_size + length));
  return header;
}

void expect(const Header& header, std::string_view object, std::string_view kind,
            std::string_view workspace) {
  const Identity& found = header.identity;
  if (found.object == object && found.kind == kind && found.workspace == workspace) return;
  throw Damaged(found, "expected was '" + std::string(object) + "' of kind '" + std::string(kind) +
                           "' in workspace '" + std::string(workspace) + "'");
}

}  // namespace terrane::sealed
