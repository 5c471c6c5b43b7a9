// Extractive question answering: for each sequence two softmaxes over its own tokens, of the start column and of the
// end column, against the answer's first and last token (Devlin et al. 2018, section 4.2):
//   loss = 1/B Σ_b (CE(start_b) + CE(end_b)) / 2
//
//   loss    f32[1]
//   logits  f32[T, 2]  columns: start, end
//   labels  i32[B, 2]  token positions within the sequence
//   cu      i32[B + 1] cumulative lengths; cu[0] = 0, cu[B] = T
//
// A label outside its sequence (always so for an empty one) adds nothing to the loss and has no gradient; the divisor
// stays B. With B = 0 the loss is 0. Losses of sequences are added in f64, in order.
//
// Backward: d_logits[t, s] = (softmax - [t = label]) / (2 B); `=`.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct SpanCall {
  explicit SpanCall(const Call& call)
      : output(call[0].f32()),
        logits(call[1].f32()),
        labels(call[2].i32()),
        cu(call[3].i32()),
        sequences(call[3].shape[0] - 1) {}

  float* output;  // loss [1], or d_logits [T, 2] of the backward op
  const float* logits;
  const int32_t* labels;
  const int32_t* cu;
  int64_t sequences;  // B

  OA_HOST_DEVICE int64_t length(int64_t b) const { return cu[b + 1] - cu[b]; }

  // side 0: start, 1: end
  OA_HOST_DEVICE bool counts(int64_t b, int side) const {
    return labels[2 * b + side] >= 0 && labels[2 * b + side] < length(b);
  }
};

}  // namespace oa::OA_ISA
