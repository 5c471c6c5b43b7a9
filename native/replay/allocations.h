// Counts the memory allocations of this program.
#pragma once

#include <cstdint>

namespace oa {

// Allocations so far, by any thread: calls of malloc and its relatives on glibc, of operator new elsewhere and under
// sanitizers (which bring their own malloc).
uint64_t allocation_count();

}  // namespace oa
