#pragma once
#include <vector>

#include "jsonapi/schema.h"

namespace terrane::ssh_key {

/// The documents of this domain's resources.
std::vector<jsonapi::Schema> schemas();

}  // namespace terrane::ssh_key
