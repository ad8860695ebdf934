#pragma once
#include <exception>
#include <string>
#include <string_view>
#include <vector>

namespace terrane {

/// What kind of failure ended a request or a job. `api/error_response.cc` is the only place that turns it
/// into an HTTP status.
enum class Code {
  invalid,              ///< the request cannot be understood (400)
  unauthorized,         ///< no token or no valid one (401)
  forbidden,            ///< known, visible and documented as refused (403); a hidden thing is `not_found`
  not_found,            ///< absent, or not to be seen by this caller (404)
  conflict,             ///< the state of the thing does not allow it now (409)
  precondition_failed,  ///< (412)
  too_large,            ///< a size limit, which the detail names (413)
  unprocessable,        ///< understood, but a value is not allowed (422)
  rate_limited,         ///< (429)
  unavailable,          ///< a dependency is away; try again (503)
  internal,             ///< a defect of ours (500); the detail stays in the log
};

/// One problem of a request: what was wrong and where.
struct Problem {
  std::string detail;
  std::string pointer;  ///< JSON pointer into the request's document, empty when it is about the whole
};

/// The one exception type. It ends a request or a job; a caller that branches gets an optional or an enum
/// instead.
class Error : public std::exception {
 public:
  /// `detail` is shown to the user and says what was wrong and what is allowed.
  Error(Code code, std::string detail, std::string pointer = {});
  /// Several problems of one request, at least one.
  Error(Code code, std::vector<Problem> problems);

  Code code() const noexcept { return code_; }
  const std::vector<Problem>& problems() const noexcept { return problems_; }
  /// The first problem's detail.
  const std::string& detail() const noexcept { return problems_.front().detail; }
  /// Private context for the log, never for the user; outermost last.
  const std::string& context() const noexcept { return context_; }
  /// Adds private context while unwinding.
  Error& add_context(std::string_view text);
  /// Detail and context in one line, for logs.
  const char* what() const noexcept override { return what_.c_str(); }

 private:
  Code code_;
  std::vector<Problem> problems_;
  std::string context_;
  std::string what_;
};

/// The code's name as it stands in logs.
std::string_view name(Code code);

/// The text of the exception in flight, for logs; call it in a catch block.
std::string current_exception_text();

}  // namespace terrane
