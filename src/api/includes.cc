#include "api/includes.h"

#include <set>

#include "api/excerpt.h"
#include "base/text.h"

namespace terrane::api {
namespace {

constexpr std::size_t most_paths = 32;
constexpr std::size_t most_steps = 4;

/// A relation's name as the resource object has it.
std::string kebab(std::string_view name) {
  std::string out(name);
  std::ranges::replace(out, '_', '-');
  return out;
}

Error unknown(std::string_view path) {
  return {Code::invalid,
          "Invalid include parameter: '" + excerpt(path) + "' is not a relation of this resource."};
}

std::pair<std::string, std::string> key_of(const json::object& resource) {
  return {find_string(resource, "type").value_or(""), find_string(resource, "id").value_or("")};
}

/// The resource identifiers of a relationship, to one or to many.
std::vector<std::pair<std::string, std::string>> linkage(const json::object& resource,
                                                         const std::string& name) {
  std::vector<std::pair<std::string, std::string>> keys;
  const json::object* relationships = find_object(resource, "relationships");
  const json::object* relationship = relationships ? find_object(*relationships, name) : nullptr;
  const json::value* data = relationship ? relationship->if_contains("data") : nullptr;
  if (!data) return keys;
  if (const json::object* one = data->if_object()) keys.push_back(key_of(*one));
  if (const json::array* many = data->if_array()) {
    for (const json::value& item : *many) {
      if (const json::object* one = item.if_object()) keys.push_back(key_of(*one));
    }
  }
  return keys;
}

/// `fields[TYPE]=a,b`: the members that resources of a type are cut to.
using Fieldsets = std::map<std::string, std::set<std::string>, std::less<>>;

Fieldsets fieldsets(const http::Request& request) {
  Fieldsets sets;
  for (const auto& [name, value] : request.query.all()) {
    constexpr std::string_view prefix = "fields[";
    if (!name.starts_with(prefix) || !name.ends_with("]")) continue;
    const std::string type = name.substr(prefix.size(), name.size() - prefix.size() - 1);
    for (std::string_view field : split(value, ',')) sets[type].insert(kebab(trim(field)));
    sets[type];  // an empty list leaves nothing
  }
  return sets;
}

void cut(json::object& resource, const Fieldsets& sets) {
  auto set = sets.find(find_string(resource, "type").value_or(""));
  if (set == sets.end()) return;
  for (std::string_view member : {"attributes", "relationships"}) {
    const json::object* all = find_object(resource, member);
    if (!all) continue;
    json::object kept;
    for (const json::key_value_pair& item : *all) {
      if (set->second.contains(std::string(item.key()))) kept[item.key()] = item.value();
    }
    resource[member] = std::move(kept);
  }
}

void cut_all(json::array& resources, const Fieldsets& sets) {
  for (json::value& resource : resources) cut(resource.as_object(), sets);
}

}  // namespace

void Includes::add_resource(std::string_view type, Loader loader) {
  if (!loaders_.emplace(type, std::move(loader)).second)
    throw Error(Code::internal, "Two loaders for " + std::string(type) + ".");
}

void Includes::add_relation(std::string_view type, std::string_view name,
                            std::vector<std::string_view> targets, Linker linker) {
  Relation relation{{targets.begin(), targets.end()}, std::move(linker)};
  if (!relations_.emplace(Key(type, kebab(name)), std::move(relation)).second)
    throw Error(Code::internal, "Two relations " + std::string(name) + " of " + std::string(type) + ".");
}

void Includes::require_complete() const {
  for (const auto& [key, relation] : relations_) {
    for (const std::string& target : relation.targets) {
      if (loaders_.contains(target)) continue;
      throw Error(Code::internal,
                  "Nobody reads " + target + " for the relation " + key.second + " of " + key.first + ".");
    }
  }
}

Includes::Wish& Includes::Wish::child(std::string name) {
  auto found = std::ranges::find(further, name, &Wish::relation);
  if (found != further.end()) return *found;
  return further.emplace_back(Wish{std::move(name), {}});
}

void Includes::Document::add(std::vector<json::object> resources) {
  for (json::object& resource : resources) {
    const Key key = key_of(resource);
    if (!known.contains(key)) known.emplace(key, &included.emplace_back(std::move(resource)));
  }
}

Includes::Wish Includes::wish(const http::Request& request, std::string_view type) const {
  Wish root;
  std::size_t paths = 0;
  for (std::string_view given : split(request.query.find("include").value_or(""), ',')) {
    const std::string_view path = trim(given);
    if (path.empty()) continue;
    const std::vector<std::string_view> steps = split(path, '.');
    if (++paths > most_paths || steps.size() > most_steps) {
      throw Error(Code::invalid, "Invalid include parameter: at most " + std::to_string(most_paths) +
                                     " paths of at most " + std::to_string(most_steps) + " relations.");
    }
    std::set<std::string> types{std::string(type)};
    Wish* at = &root;
    for (std::string_view step : steps) {
      const std::string name = kebab(step);
      std::set<std::string> next;
      bool is_known = false;
      for (const std::string& owner : types) {
        auto relation = relations_.find(Key(owner, name));
        if (relation == relations_.end()) continue;
        is_known = true;
        next.insert(relation->second.targets.begin(), relation->second.targets.end());
      }
      if (!is_known) throw unknown(path);
      types = std::move(next);
      at = &at->child(name);
    }
  }
  return root;
}

Task<std::vector<json::object*>> Includes::step(postgres::Tx& tx, const Principal& principal,
                                                const std::string& name,
                                                const std::vector<json::object*>& resources,
                                                Document& document) const {
  std::map<std::string, std::vector<json::object*>> by_type;
  for (json::object* resource : resources) by_type[key_of(*resource).first].push_back(resource);
  std::vector<Key> related;  // each once, in the order of the document
  for (const auto& [type, owners] : by_type) {
    auto relation = relations_.find(Key(type, name));
    if (relation == relations_.end()) continue;
    if (relation->second.linker) document.add(co_await relation->second.linker(tx, principal, owners));
    for (const json::object* owner : owners) {
      for (Key& key : linkage(*owner, name)) related.push_back(std::move(key));
    }
  }
  std::set<Key> seen;
  std::erase_if(related, [&](const Key& key) { return !seen.insert(key).second; });

  std::map<std::string, std::vector<std::string>> missing;
  for (const auto& [type, id] : related) {
    if (!document.known.contains(Key(type, id))) missing[type].push_back(id);
  }
  for (const auto& [type, ids] : missing) {
    auto loader = loaders_.find(type);
    if (loader == loaders_.end()) continue;
    document.add(co_await loader->second(tx, principal, ids));
  }
  std::vector<json::object*> out;
  for (const Key& key : related) {
    if (auto found = document.known.find(key); found != document.known.end()) out.push_back(found->second);
  }
  co_return out;
}

Task<> Includes::follow(postgres::Tx& tx, const Principal& principal, const Wish& wish,
                        std::vector<json::object*> resources, Document& document) const {
  for (const Wish& next : wish.further) {
    std::vector<json::object*> related = co_await step(tx, principal, next.relation, resources, document);
    if (!related.empty() && !next.further.empty())
      co_await follow(tx, principal, next, std::move(related), document);
  }
}

Task<json::array> Includes::included(const http::Request& request, postgres::Tx& tx, std::string_view type,
                                     std::vector<json::object*> resources) const {
  const Wish wanted = wish(request, type);
  Document document;
  for (json::object* resource : resources) document.known.emplace(key_of(*resource), resource);
  co_await follow(tx, principal(request), wanted, std::move(resources), document);
  json::array out;
  for (json::object& resource : document.included) out.push_back(std::move(resource));
  co_return out;
}

Task<http::Response> Includes::answer(const http::Request& request, postgres::Tx& tx, int status,
                                      json::object resource) const {
  const std::string type = key_of(resource).first;
  json::array others = co_await included(request, tx, type, {&resource});
  const Fieldsets sets = fieldsets(request);
  cut(resource, sets);
  cut_all(others, sets);
  co_return api::answer(status, jsonapi::document(std::move(resource), std::move(others)));
}

Task<json::array> Includes::complete(const http::Request& request, postgres::Tx& tx, std::string_view type,
                                     json::array& resources) const {
  std::vector<json::object*> owners;
  for (json::value& resource : resources) owners.push_back(&resource.as_object());
  json::array others = co_await included(request, tx, type, std::move(owners));
  const Fieldsets sets = fieldsets(request);
  cut_all(resources, sets);
  cut_all(others, sets);
  co_return others;
}

Task<http::Response> Includes::answer_list(const http::Request& request, postgres::Tx& tx,
                                           std::string_view type, json::array resources,
                                           const jsonapi::Page& page, std::int64_t total) const {
  json::array others = co_await complete(request, tx, type, resources);
  co_return api::answer(
      200, jsonapi::list_document(std::move(resources), page, total, request.path, std::move(others)));
}

namespace {

/// The document of a list that nobody counts.
json::object page_document(json::array data, const jsonapi::Page& page, bool more, std::string_view path,
                           json::array included) {
  auto link = [&](std::int64_t number) {
    return json::value(std::string(path) + "?page%5Bnumber%5D=" + std::to_string(number) +
                       "&page%5Bsize%5D=" + std::to_string(page.size));
  };
  const bool first = page.number == 1;
  json::object out{{"data", std::move(data)}};
  if (!included.empty()) out["included"] = std::move(included);
  out["links"] = json::object{{"self", link(page.number)},
                              {"first", link(1)},
                              {"prev", first ? json::value() : link(page.number - 1)},
                              {"next", more ? link(page.number + 1) : json::value()}};
  out["meta"] = json::object{
      {"pagination", json::object{{"current-page", page.number},
                                  {"page-size", page.size},
                                  {"prev-page", first ? json::value() : json::value(page.number - 1)},
                                  {"next-page", more ? json::value(page.number + 1) : json::value()}}}};
  return out;
}

}  // namespace

Task<http::Response> Includes::answer_page(const http::Request& request, postgres::Tx& tx,
                                           std::string_view type, json::array resources,
                                           const jsonapi::Page& page, bool more) const {
  json::array others = co_await complete(request, tx, type, resources);
  co_return api::answer(200,
                        page_document(std::move(resources), page, more, request.path, std::move(others)));
}

}  // namespace terrane::api
