#pragma once
#include <deque>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "api/api.h"
#include "postgres/database.h"

namespace terrane::api {

/// Resource objects by their ids, read by one statement however many there are. What the principal may not
/// see is left out, and what is gone, too.
using Loader = std::function<Task<std::vector<json::object>>(postgres::Tx& tx, const Principal& principal,
                                                             const std::vector<std::string>& ids)>;

/// Completes a relationship of resource objects of one type that do not carry it by themselves, by one
/// statement for all of them. Returns the related resources as far as it has read them on the way; the others
/// are loaded.
using Linker = std::function<Task<std::vector<json::object>>(postgres::Tx& tx, const Principal& principal,
                                                             std::span<json::object* const> resources)>;

/// What `include=` can ask for: which relations each type has, and how resources of each type are read. Each
/// domain declares its own types and relations when it is built; the answers of all domains are made here,
/// with sparse fieldsets (`fields[TYPE]=`). What was declared refers to the domains, which must outlive the
/// requests.
class Includes {
 public:
  /// Declares how resources of `type` are read. Throws Error{internal} when that has been declared.
  void add_resource(std::string_view type, Loader loader);

  /// Declares that resources of `type` have the relation `name` (as in `include=`: snake_case) to resources
  /// of the types `targets`. A relation without targets is known and leads nowhere. Without a linker the
  /// resource objects' own relationships say who is related.
  void add_relation(std::string_view type, std::string_view name, std::vector<std::string_view> targets,
                    Linker linker = {});

  /// Throws Error{internal} that names a target which nobody reads.
  void require_complete() const;

  /// The answer with one resource, and with a list of resources of `type`: with what `include=` asks for,
  /// each resource once, cut to `fields[TYPE]=`. Suspends. Throws Error{invalid}, in the words that clients
  /// know, on a relation that is not declared.
  Task<http::Response> answer(const http::Request& request, postgres::Tx& tx, int status,
                              json::object resource) const;
  Task<http::Response> answer_list(const http::Request& request, postgres::Tx& tx, std::string_view type,
                                   json::array resources, const jsonapi::Page& page,
                                   std::int64_t total) const;
  /// The same for a list that nobody counts: it only says whether a page follows.
  Task<http::Response> answer_page(const http::Request& request, postgres::Tx& tx, std::string_view type,
                                   json::array resources, const jsonapi::Page& page, bool more) const;

 private:
  struct Relation {
    std::vector<std::string> targets;
    Linker linker;
  };
  using Key = std::pair<std::string, std::string>;  // of a resource, or of a relation: type and id or name
  /// The paths of `include=` as a tree, in the order given.
  struct Wish {
    std::string relation;
    std::vector<Wish> further;
    Wish& child(std::string name);
  };
  /// What a document holds already, and what it includes, in order.
  struct Document {
    std::map<Key, json::object*> known;
    std::deque<json::object> included;
    void add(std::vector<json::object> resources);
  };

  /// What a list includes; it and the list are cut to their fields.
  Task<json::array> complete(const http::Request& request, postgres::Tx& tx, std::string_view type,
                             json::array& resources) const;
  Wish wish(const http::Request& request, std::string_view type) const;
  Task<json::array> included(const http::Request& request, postgres::Tx& tx, std::string_view type,
                             std::vector<json::object*> resources) const;
  Task<> follow(postgres::Tx& tx, const Principal& principal, const Wish& wish,
                std::vector<json::object*> resources, Document& document) const;
  Task<std::vector<json::object*>> step(postgres::Tx& tx, const Principal& principal, const std::string& name,
                                        const std::vector<json::object*>& resources,
                                        Document& document) const;

  std::map<std::string, Loader, std::less<>> loaders_;
  std::map<Key, Relation> relations_;
};

}  // namespace terrane::api
