// Dropout: y = x ∘ mask / (1 - p), the mask being 0 with probability p (Srivastava et al. 2014, inverted form).
//
//   y, x  f32[R, C]  y may be x itself
//
// The mask of row r, column c is a function of (seed, step, rng, r * C + c) alone (see cpu/philox.h), so the backward
// pass regenerates it instead of reading it back: this op on dy with the same rng is its own gradient.
// dropout = 0 copies.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct DropoutCall {
  explicit DropoutCall(const Call& call)
      : y(call[0].f32()),
        x(call[1].f32()),
        size(call[0].size()),
        dropout(call.attribute_f32(0)),
        rng(call.attribute_u32(1)) {}

  float* y;
  const float* x;
  int64_t size;  // R * C
  float dropout;
  uint32_t rng;
};

}  // namespace oa::OA_ISA
