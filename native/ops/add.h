// Sum of two tensors of one shape: y = a + b. The residual connection of He et al. 2015, where it is not fused into the
// LayerNorm that follows.
//
//   y, a, b  f32[...]  y may be a or b itself
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct AddCall {
  explicit AddCall(const Call& call) : y(call[0].f32()), a(call[1].f32()), b(call[2].f32()), size(call[0].size()) {}

  float* y;
  const float* a;
  const float* b;
  int64_t size;
};

}  // namespace oa::OA_ISA
