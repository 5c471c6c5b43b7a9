// Self-attention of every head over every sequence's own tokens (Vaswani et al. 2017 §3.2.1), packed: no padding.
// For sequence b, head h, with Q, K, V the D columns of head h in its rows of qkv:
//   S = scale·Q·Kᵀ;  P = softmax of the rows of S;  y = dropout(P)·V;  lse = log Σ exp(S), per row
//
//   y      f32[T, C]      C = H·D; head h at columns h·D
//   lse    f32[H, T]      optional: all that backward needs besides qkv
//   qkv    f32[T, 3·C]    queries of all heads, then keys, then values
//   cu     i32[B + 1]     cumulative lengths, cu[0] = 0, cu[B] = T; empty sequences hold no rows
//
// dropout: P∘mask / (1 - p), the mask a function of (seed, step, rng, stream = row·H + head, element = key) alone, row
// being the query's packed row and key its index within the sequence (cpu/philox.h).
// max_length bounds the length of a sequence (0: only T does) and with it scratch; batches are validated against it.
//
// Backward: d_qkv f32[T, 3·C] from dy f32[T, C], written whole with `=`. P = exp(S - lse) is made again, and
//   dV = dropout(P)ᵀ·dy;  dP = (dy·Vᵀ)∘mask / (1 - p);  delta = Σ over keys of P∘dP;  dS = P∘(dP - delta)
//   dQ = scale·dS·K;  dK = scale·dSᵀ·Q
//
// One (sequence, head) is one item of work and belongs to one thread. Outputs alias nothing.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct AttentionCall {
  explicit AttentionCall(const Call& call)
      : y(call[0].f32()),
        lse(call[1].f32()),
        qkv(call[2].f32()),
        cu(call[3].i32()),
        tokens(call[0].shape[0]),
        sequences(call[3].shape[0] - 1),
        hidden(call[0].shape[1]),
        heads(call.attribute_i32(0)),
        scale(call.attribute_f32(1)),
        dropout(call.attribute_f32(2)),
        rng(call.attribute_u32(3)),
        max_length(call.attribute_i32(4)) {}

  float* y;
  float* lse;
  const float* qkv;
  const int32_t* cu;
  int64_t tokens;     // T
  int64_t sequences;  // B
  int64_t hidden;     // C
  int64_t heads;      // H
  float scale;
  float dropout;
  uint32_t rng;
  int64_t max_length;
};

struct AttentionBackwardCall {
  explicit AttentionBackwardCall(const Call& call)
      : d_qkv(call[0].f32()),
        dy(call[1].f32()),
        qkv(call[2].f32()),
        lse(call[3].f32()),
        cu(call[4].i32()),
        tokens(call[1].shape[0]),
        sequences(call[4].shape[0] - 1),
        hidden(call[1].shape[1]),
        heads(call.attribute_i32(0)),
        scale(call.attribute_f32(1)),
        dropout(call.attribute_f32(2)),
        rng(call.attribute_u32(3)),
        max_length(call.attribute_i32(4)) {}

  float* d_qkv;
  const float* dy;
  const float* qkv;
  const float* lse;
  const int32_t* cu;
  int64_t tokens;     // T
  int64_t sequences;  // B
  int64_t hidden;     // C
  int64_t heads;      // H
  float scale;
  float dropout;
  uint32_t rng;
  int64_t max_length;
};

}  // namespace oa::OA_ISA
