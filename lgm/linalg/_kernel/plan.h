// Which fronts one thread takes together, and where update matrices are kept.
#pragma once

#include "symbolic.h"

namespace lgm {

// Fills in tasks, top, landing places and update memory of an analysis that has all else.
void plan(Symbolic& symbolic, const Division& division);

}  // namespace lgm
