// Test mode: an op must leave alone what lies behind its outputs and its scratch. All buffers of a kind share one block
// of memory, so no sanitizer sees a kernel write from one of them into the next; here it changes a guard.
#pragma once

#include "runtime/program.h"

namespace oa {

// Runs one op of a program with guard_bytes > 0. Fills the memory from the end of each output, at this step's T and B,
// to the end of its guard, and that behind the op's `scratch_bytes`, and looks at them again when the op is done.
// Throws ERR_OVERRUN naming entry, op, operand and place. Behind tensors of the flat buffers zeros are left, as always.
void run_guarded(const Program& program, const Entry& entry, const OpCall& op, const OpFunctions& functions,
                 const Call& call, int64_t scratch_bytes);

}  // namespace oa
