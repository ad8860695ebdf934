#pragma once
#include <map>
#include <string>
#include <vector>

#include "archivist/keys.h"
#include "blob/store.h"

namespace terrane::archivist {

/// What lies in the blob store, whatever the rows say: only for the look through it after the database went
/// back. All methods suspend and throw Error{unavailable}.
class Inventory {
 public:
  Inventory(blob::Store& store, KeyCache& keys) : store_(store), keys_(keys) {}

  struct Page {
    std::vector<std::string> objects;
    std::string next;  ///< where the next page begins; empty: there is none
  };
  /// Some objects of a kind after the place `after`, empty for the first. Throws Error{invalid} on a bad
  /// kind.
  Task<Page> page(std::string kind, std::string after);

  struct Found {
    std::string workspace;
    std::int64_t size = 0;  ///< of the plaintext, as its md5
    std::string md5;
    std::map<std::string, std::string> facts;  ///< what the authenticated header says besides
  };
  /// Opens the object to its end. Throws Error{not_found}, and Error{unprocessable} when it does not open.
  Task<Found> look(std::string kind, std::string object);

 private:
  blob::Store& store_;
  KeyCache& keys_;
};

}  // namespace terrane::archivist
