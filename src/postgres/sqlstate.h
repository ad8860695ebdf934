#pragma once
#include <string_view>

#include "base/error.h"

struct pg_result;

namespace terrane::postgres {

/// The Error for a failed statement; its context names statement, SQLSTATE and what the server said, never a
/// value of the user's.
Error to_error(const pg_result& result, std::string_view statement);

/// Whether the failure ended the session on the server's side.
bool ends_session(const pg_result& result);

/// Whether the session lives but must not be used for further transactions: it is on a standby, or its
/// prepared statements are stale.
bool wears_out_session(const pg_result& result);

/// The SQLSTATE that `to_error` put into the context, empty when there is none.
std::string_view sqlstate(const Error& error);

}  // namespace terrane::postgres
