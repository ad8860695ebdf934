#include "api/openapi.h"

#include <set>

#include "base/text.h"

namespace terrane::api {
namespace {

using Form = http::Shape::Form;
using jsonapi::closed_object;

constexpr std::string_view media_type = "application/vnd.api+json";
constexpr std::string_view prefix = "/api/v2/";

/// A row's shape with nothing left to be derived.
struct Described {
  Form form = Form::nothing;
  std::string type;   ///< of the resource given
  std::string takes;  ///< the schema of the request's document
  int status = 200;
};

std::string_view last_word(const std::vector<std::string_view>& parts) {
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!part->starts_with(':')) return *part;
  }
  return "";
}

Form usual_form(http::Method method, bool names_one) {
  switch (method) {
    case http::Method::post: return Form::made;
    case http::Method::patch: return Form::one;
    case http::Method::del: return Form::nothing;
    default: return names_one ? Form::one : Form::page;
  }
}

int status_of(Form form) {
  switch (form) {
    case Form::made: return 201;
    case Form::accepted: return 202;
    case Form::nothing: return 204;
    case Form::redirect: return 302;
    case Form::usual:
    case Form::one:
    case Form::page:
    case Form::uncounted:
    case Form::all:
    case Form::text: return 200;
  }
  return 200;
}

Described describe(const http::Route& row) {
  const std::vector<std::string_view> parts = split(row.pattern, '/');
  const bool usual = row.shape.gives == Form::usual;
  Described out;
  out.form = usual ? usual_form(row.method, parts.back().starts_with(':')) : row.shape.gives;
  out.type = row.shape.type.empty() ? last_word(parts) : row.shape.type;
  out.takes = row.shape.takes;
  if (usual && out.takes.empty() && row.method == http::Method::post) out.takes = out.type + ".create";
  if (usual && out.takes.empty() && row.method == http::Method::patch) out.takes = out.type + ".update";
  out.status = status_of(out.form);
  return out;
}

bool gives_resources(Form form) {
  return form == Form::one || form == Form::made || form == Form::page || form == Form::uncounted ||
         form == Form::all;
}

json::object reference(std::string_view name) {
  return {{"$ref", "#/components/schemas/" + std::string(name)}};
}

json::object content(std::string_view type, json::object schema) {
  return {{type, json::object{{"schema", std::move(schema)}}}};
}

/// Other resources that came along; each is as its own schema says, or a part of it.
json::value included() {
  return jsonapi::list_of(
      json::object{{"type", "object"},
                   {"required", {"id", "type"}},
                   {"properties", json::object{{"id", jsonapi::text()}, {"type", jsonapi::text()}}}});
}

json::object document_of(Form form, const std::string& type) {
  if (form == Form::one || form == Form::made)
    return closed_object(json::object{{"data", reference(type)}, {"included", included()}}, {"included"});
  json::object members{{"data", jsonapi::list_of(reference(type))}, {"included", included()}};
  if (form == Form::page) {
    members["links"] = reference("page-links");
    members["meta"] = reference("page-meta");
  }
  if (form == Form::uncounted) {
    members["links"] = reference("uncounted-page-links");
    members["meta"] = reference("uncounted-page-meta");
  }
  return closed_object(std::move(members), {"included"});
}

json::object responses_of(const Described& row) {
  json::object out;
  json::object success{{"description", "success"}};
  if (gives_resources(row.form)) success["content"] = content(media_type, document_of(row.form, row.type));
  if (row.form == Form::text) success["content"] = content("text/plain", {{"type", "string"}});
  out[std::to_string(row.status)] = std::move(success);
  if (row.form == Form::redirect) {
    out["307"] = json::object{{"description", "where it is, for a short time"}};
    out["204"] = json::object{{"description", "not there yet"}};
  }
  out["default"] =
      json::object{{"description", "what is wrong"}, {"content", content(media_type, reference("errors"))}};
  return out;
}

json::object parameter(std::string_view in, std::string_view name, json::value schema) {
  json::object out{{"name", name}, {"in", in}, {"schema", std::move(schema)}};
  if (in == "path") out["required"] = true;
  return out;
}

json::array parameters_of(const http::Route& row, Form form) {
  json::array out;
  for (std::string_view part : split(row.pattern, '/')) {
    if (part.starts_with(':')) out.push_back(parameter("path", part.substr(1), jsonapi::text()));
  }
  if (form == Form::page || form == Form::uncounted) {
    out.push_back(parameter("query", "page[number]", jsonapi::integer(1, 1'000'000'000)));
    out.push_back(parameter("query", "page[size]", jsonapi::integer(1, 100)));
  }
  for (std::string_view name : split(row.shape.query, ' ')) {
    if (!name.empty()) out.push_back(parameter("query", name, jsonapi::text()));
  }
  return out;
}

/// `/runs/:id` as `/runs/{id}`.
std::string path_of(std::string_view pattern) {
  std::string out;
  for (std::string_view part : split(pattern.substr(1), '/'))
    out += part.starts_with(':') ? "/{" + std::string(part.substr(1)) + "}" : "/" + std::string(part);
  return out;
}

std::string operation_id(const http::Route& row) {
  std::string out = lower(http::name(row.method));
  for (std::string_view part : split(std::string_view(row.pattern).substr(prefix.size()), '/'))
    out += "_" + std::string(part.starts_with(':') ? part.substr(1) : part);
  std::ranges::replace(out, '-', '_');
  return out;
}

json::object operation(const http::Route& row, const Described& described) {
  json::object out{{"operationId", operation_id(row)}};
  json::array parameters = parameters_of(row, described.form);
  if (!parameters.empty()) out["parameters"] = std::move(parameters);
  if (!described.takes.empty()) {
    const bool required = described.takes.find('.') != std::string::npos || described.takes == "identifiers";
    out["requestBody"] =
        json::object{{"required", required}, {"content", content(media_type, reference(described.takes))}};
  }
  out["responses"] = responses_of(described);
  if (!row.authenticated) out["security"] = json::array();
  return out;
}

json::object document_with(json::value data) {
  return closed_object(json::object{{"data", std::move(data)}});
}

/// What lists say about their pages; whether anybody counts the list decides how much that is.
json::object page_schemas() {
  const json::value number = jsonapi::integer(0, 9'007'199'254'740'991);
  json::object links, numbers;
  for (std::string_view name : {"self", "first", "prev", "next"})
    links[name] = jsonapi::nullable(jsonapi::text());
  for (std::string_view name : {"current-page", "page-size"}) numbers[name] = number;
  for (std::string_view name : {"prev-page", "next-page"}) numbers[name] = jsonapi::nullable(number);
  json::object counted_links = links, counted_numbers = numbers;
  counted_links["last"] = jsonapi::nullable(jsonapi::text());
  for (std::string_view name : {"total-pages", "total-count"}) counted_numbers[name] = number;
  auto meta = [](json::object pagination) {
    return closed_object(json::object{{"pagination", closed_object(std::move(pagination))}});
  };
  return {{"page-links", closed_object(std::move(counted_links))},
          {"page-meta", meta(std::move(counted_numbers))},
          {"uncounted-page-links", closed_object(std::move(links))},
          {"uncounted-page-meta", meta(std::move(numbers))}};
}

/// Schemas that belong to no resource: errors, pages, and the small bodies of actions.
json::object common_schemas() {
  json::object error =
      closed_object(json::object{{"status", jsonapi::text("^[0-9]{3}$")},
                                 {"title", jsonapi::text()},
                                 {"detail", jsonapi::text()},
                                 {"source", closed_object(json::object{{"pointer", jsonapi::text()}})}},
                    {"detail", "source"});
  const json::value words = json::object{{"type", "string"}, {"maxLength", 1000}};
  const json::value types = jsonapi::text("^[a-z-]{1,40}$");
  json::value identifiers =
      jsonapi::list_of(closed_object(json::object{{"id", jsonapi::text()}, {"type", types}}));
  json::object out{
      {"errors", closed_object(json::object{{"errors", jsonapi::list_of(std::move(error))}})},
      {"identifiers", closed_object(json::object{{"data", std::move(identifiers)}})},
      {"comment", closed_object(json::object{{"comment", words}}, {"comment"})},
      {"reason", closed_object(json::object{{"reason", words}}, {"reason"})},
  };
  for (json::key_value_pair item : page_schemas()) out[item.key()] = item.value();
  return out;
}

json::object all_schemas(const std::vector<jsonapi::Schema>& schemas) {
  json::object out = common_schemas();
  for (const jsonapi::Schema& schema : schemas) {
    const std::string name(schema.name);
    if (out.contains(name)) throw Error(Code::internal, "Two schemas have the name " + name + ".");
    out[name] = jsonapi::answer_schema(schema);
    const json::object made = jsonapi::request_schema(schema, jsonapi::create);
    out[name + ".create"] = document_with(made);
    out[name + ".list"] = document_with(jsonapi::list_of(made));
    out[name + ".update"] = document_with(jsonapi::request_schema(schema, jsonapi::update));
  }
  return out;
}

}  // namespace

OpenApi openapi(const http::Router& router, const std::vector<jsonapi::Schema>& schemas) {
  json::object known = all_schemas(schemas);
  json::object paths;
  OpenApi out;
  for (const http::Route& row : router.rows()) {
    if (!row.pattern.starts_with(prefix)) continue;
    const Described described = describe(row);
    const bool complete = (!gives_resources(described.form) || known.contains(described.type)) &&
                          (described.takes.empty() || known.contains(described.takes));
    if (!complete) {
      out.undescribed.push_back(std::string(http::name(row.method)) + " " + row.pattern);
      continue;
    }
    json::value& path = paths[path_of(row.pattern)];
    if (!path.is_object()) path = json::object();
    path.as_object()[lower(http::name(row.method))] = operation(row, described);
  }
  json::object token{{"type", "http"}, {"scheme", "bearer"}};
  out.document = json::object{
      {"openapi", "3.1.0"},
      {"info", json::object{{"title", "Terrane"}, {"version", "2"}}},
      {"security", json::array{json::object{{"token", json::array()}}}},
      {"paths", std::move(paths)},
      {"components", json::object{{"schemas", std::move(known)},
                                  {"securitySchemes", json::object{{"token", std::move(token)}}}}}};
  return out;
}

}  // namespace terrane::api
