#pragma once
#include <memory>
#include <string>

struct pg_result;

namespace terrane::postgres {

/// Frees a libpq result.
struct ClearResult {
  void operator()(pg_result* result) const noexcept;
};
using ResultPointer = std::unique_ptr<pg_result, ClearResult>;

/// What a Result and its rows share.
struct ResultData {
  ResultPointer result;
  std::string statement;  ///< its name, for messages about defects
};

}  // namespace terrane::postgres
