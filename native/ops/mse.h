// Mean squared error: loss = 1/B Σ_b (prediction[b] - labels[b])².
//
//   loss        f32[1]
//   prediction  f32[B, 1]
//   labels      f32[B]
//
// With B = 0 the loss is 0. Differences are squared and added in f64, in order.
//
// Backward: d_prediction[b] = 2 (prediction[b] - labels[b]) / B; `=`.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct MseCall {
  explicit MseCall(const Call& call)
      : output(call[0].f32()), prediction(call[1].f32()), labels(call[2].f32()), size(call[1].size()) {}

  float* output;  // loss [1], or d_prediction [B, 1] of the backward op
  const float* prediction;
  const float* labels;
  int64_t size;  // B
};

}  // namespace oa::OA_ISA
