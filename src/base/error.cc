#include "base/error.h"

#include <utility>

namespace terrane {

Error::Error(Code code, std::string detail, std::string pointer) : code_(code) {
  what_ = detail;
  problems_.push_back({std::move(detail), std::move(pointer)});
}

Error::Error(Code code, std::vector<Problem> problems) : code_(code), problems_(std::move(problems)) {
  if (problems_.empty()) problems_.push_back({"Unspecified problem.", ""});
  what_ = problems_.front().detail;
}

Error& Error::add_context(std::string_view text) {
  if (!context_.empty()) context_ += "; ";
  context_ += text;
  what_ = problems_.front().detail + " [" + context_ + "]";
  return *this;
}

std::string_view name(Code code) {
  switch (code) {
    case Code::invalid: return "invalid";
    case Code::unauthorized: return "unauthorized";
    case Code::forbidden: return "forbidden";
    case Code::not_found: return "not found";
    case Code::conflict: return "conflict";
    case Code::precondition_failed: return "precondition failed";
    case Code::too_large: return "too large";
    case Code::unprocessable: return "unprocessable";
    case Code::rate_limited: return "rate limited";
    case Code::unavailable: return "unavailable";
    case Code::internal: return "internal";
  }
  return "internal";
}

std::string current_exception_text() {
  try {
    throw;
  } catch (const std::exception& e) {
    return e.what();
  } catch (...) {
    return "unknown exception";
  }
}

}  // namespace terrane
