// What the handlers of XLA's calls share with the rest of the kernel.
#pragma once

#include <cstdint>

namespace lgm {

// Upper limit on the threads that share one batch; 0 for as many as XLA's pool has. Results do not depend on it.
void set_max_threads(int64_t threads);
int64_t max_threads();

}  // namespace lgm
