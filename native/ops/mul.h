// Product of two tensors of one shape, element by element: y = a ∘ b. Backward through an activation is
// dy ∘ act'(u), with the derivative saved by the forward pass.
//
//   y, a, b  f32[...]  y may be a or b itself
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct MulCall {
  explicit MulCall(const Call& call) : y(call[0].f32()), a(call[1].f32()), b(call[2].f32()), size(call[0].size()) {}

  float* y;
  const float* a;
  const float* b;
  int64_t size;
};

}  // namespace oa::OA_ISA
