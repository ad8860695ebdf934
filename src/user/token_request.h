#pragma once
#include <optional>
#include <string>

#include "base/json.h"
#include "base/time.h"
#include "http/message.h"

namespace terrane::user {

/// What a client asks for when it makes a token.
struct TokenRequest {
  std::optional<std::string> description;
  std::optional<Time> expired_at;
};

/// Reads the body of a request for a token; an empty body asks for nothing special. Throws
/// Error{unprocessable} with a pointer, also when the document is of another type than `type`; an empty one
/// allows any.
Task<TokenRequest> read_token_request(http::Request& request,
                                      std::string_view type = "authentication-tokens");

}  // namespace terrane::user
