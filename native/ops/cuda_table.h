// The ops as a GPU runs them.
#pragma once

#include "ops/cpu_table.h"

namespace oa::cuda {

// Indexed by opcode, like a CPU backend's.
const OpFunctions* cuda_table();

}  // namespace oa::cuda
