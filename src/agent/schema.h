#pragma once
#include <vector>

#include "jsonapi/schema.h"

namespace terrane::agent {

/// The documents of this domain's resources.
std::vector<jsonapi::Schema> schemas();

}  // namespace terrane::agent
