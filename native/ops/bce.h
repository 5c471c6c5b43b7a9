// Binary cross-entropy of sigmoid(logits) against labels, the mean over all elements:
//   loss = 1/(B K) Σ max(x, 0) - x y + log(1 + exp(-|x|))
// (the form of the logistic loss that never overflows).
//
//   loss    f32[1]
//   logits  f32[B, K]
//   labels  f32[B, K]  in [0, 1]
//
// With no element the loss is 0. Elements are computed and added in f64: one slot per chunk, slots in order.
//
// Backward: d_logits = (sigmoid(x) - y) / (B K); `=`.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct BceCall {
  explicit BceCall(const Call& call)
      : output(call[0].f32()), logits(call[1].f32()), labels(call[2].f32()), size(call[1].size()) {}

  float* output;  // loss [1], or d_logits [B, K] of the backward op
  const float* logits;
  const float* labels;
  int64_t size;  // B * K
};

}  // namespace oa::OA_ISA
