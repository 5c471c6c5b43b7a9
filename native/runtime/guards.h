// Test mode: an op must leave alone what lies behind its outputs and its scratch. All buffers of a kind share one block
// of memory, so no sanitizer sees a kernel write from one of them into the next; here it changes a guard.
#pragma once

#include "runtime/device.h"
#include "runtime/program.h"

namespace oa {

// One op of a program with guard_bytes > 0, bound to a step.
struct GuardedOp {
  const OpCall& info;
  const Call& call;
  int64_t scratch_bytes;
};

// `fill` before an op fills the memory from the end of each output, at this step's shapes, to the end of its guard, and
// that behind the op's scratch. `check` after it throws ERR_OVERRUN naming entry, op, operand and place where that has
// changed. Behind tensors of the flat buffers zeros are left, as always.
class Guards {
 public:
  Guards(const Program& program, const Entry& entry, const Device& device)
      : program_(program), entry_(entry), device_(device) {}

  void fill(const GuardedOp& op) const;
  void check(const GuardedOp& op) const;

 private:
  const Program& program_;
  const Entry& entry_;
  const Device& device_;
};

}  // namespace oa
