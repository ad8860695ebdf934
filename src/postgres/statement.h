#pragma once
#include <string_view>

namespace terrane {

/// A named SQL statement out of a .sql file. The name is unique in the program: it is the prepared
/// statement's name and the key in logs.
struct Statement {
  std::string_view name;
  std::string_view text;
};

}  // namespace terrane
