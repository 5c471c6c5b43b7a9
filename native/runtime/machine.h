// What this machine offers to a process.
#pragma once

namespace oa {

// Logical processors that this process may run on (its affinity mask, where there is one); at least 1.
int available_threads();

}  // namespace oa
