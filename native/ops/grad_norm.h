// Length of the flat gradient: norm = sqrt(Σ g²), what clipping by global norm needs (Pascanu et al. 2013).
//
//   norm       f32[1]
//   gradients  f32[N]  up to all parameters of an encoder
//
// Squares are taken and added in f64: a sum of 10^8 f32 terms would lose its last digits, and the square of a gradient
// of 1e-20 would be 0. One slot per chunk, slots in order. A NaN or infinite gradient gives a norm that is not finite.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct GradNormCall {
  explicit GradNormCall(const Call& call) : norm(call[0].f32()), gradients(call[1].f32()), size(call[1].size()) {}

  float* norm;
  const float* gradients;
  int64_t size;  // N
};

}  // namespace oa::OA_ISA
