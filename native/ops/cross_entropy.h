// Cross-entropy of softmax(logits) against class labels, the mean over the rows that count:
//   loss = 1/n Σ_r (log Σ_k exp(logits[r, k]) - logits[r, labels[r]]),   n = number of counted rows
//
//   loss    f32[1]
//   logits  f32[R, K]
//   labels  i32[R]     a row counts when its label is in [0, K); -100 (PyTorch's ignore_index) marks one that does not
//
// With no counted row the loss is 0. Each row subtracts its maximum first. Row losses are added in f64: one slot per
// chunk of rows, slots in order.
//
// Backward: d_logits[r, k] = (softmax(logits[r])[k] - [k = labels[r]]) / n, rows that do not count 0; `=`.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct CrossEntropyCall {
  explicit CrossEntropyCall(const Call& call)
      : output(call[0].f32()),
        logits(call[1].f32()),
        labels(call[2].i32()),
        rows(call[1].shape[0]),
        classes(call[1].shape[1]) {}

  float* output;  // loss [1], or d_logits [R, K] of the backward op
  const float* logits;
  const int32_t* labels;
  int64_t rows;     // R
  int64_t classes;  // K

  OA_HOST_DEVICE bool counts(int64_t row) const { return labels[row] >= 0 && labels[row] < classes; }
};

}  // namespace oa::OA_ISA
