#pragma once
#include <string>
#include <string_view>

namespace terrane::api {

/// Text that a request gave, as an error may repeat it: its first 100 bytes or a little less, so that no
/// character is cut. In what is no UTF-8, each byte beyond ASCII is a question mark.
std::string excerpt(std::string_view given);

}  // namespace terrane::api
