// Linear layer with its activation fused: u = x·wᵀ + b;  y = activation(u);  derivative = activation'(u).
//
//   y, derivative  f32[R, N]   derivative, optional: saved for backward, where it makes the activation one product
//   x              f32[R, K]
//   w              f32[N, K]   frozen: form `packed`; trained: raw rows, packed into scratch at every call
//   b              f32[N]      optional
//
// linear_dx, the gradient with respect to x:
//   dx             f32[R, K] = dy·w, then by attribute `epilogue`: 0 nothing, 1 ∘ other, 2 + other
//   dy             f32[R, N]
//   w              f32[N, K]   frozen: form `packed_transposed`; trained: raw rows, packed into scratch
//   other          f32[R, K]   for 1 the saved derivative below x, for 2 the gradient from a second path
//
// linear_dw, the gradients of trained weights, both optional and written whole with `=`:
//   dw             f32[N, K] = dyᵀ·x: every element sums all rows in order
//   db             f32[N] = Σ rows of dy: partial sums per chunk of rows, added in chunk order
//   x              f32[R, K]   may be absent when dw is
//
// Outputs alias nothing.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct LinearCall {
  explicit LinearCall(const Call& call)
      : y(call[0].f32()),
        derivative(call[1].f32()),
        x(call[2].f32()),
        w(call[3].f32()),
        b(call[4].f32()),
        packed(call[3].form == Form::packed),
        rows(call[0].shape[0]),
        columns(call[3].shape[0]),
        depth(call[3].shape[1]),
        activation(call.attribute_i32(0)) {}

  float* y;
  float* derivative;
  const float* x;
  const float* w;
  const float* b;
  bool packed;      // w is panels already
  int64_t rows;     // R
  int64_t columns;  // N
  int64_t depth;    // K
  int32_t activation;
};

enum class LinearDxEpilogue : int32_t { none = 0, mul = 1, add = 2 };

struct LinearDxCall {
  explicit LinearDxCall(const Call& call)
      : dx(call[0].f32()),
        dy(call[1].f32()),
        w(call[2].f32()),
        other(call[3].f32()),
        packed(call[2].form == Form::packed_transposed),
        rows(call[0].shape[0]),
        columns(call[2].shape[1]),
        depth(call[2].shape[0]),
        epilogue(static_cast<LinearDxEpilogue>(call.attribute_i32(0))) {}

  float* dx;
  const float* dy;
  const float* w;
  const float* other;
  bool packed;      // w is panels already
  int64_t rows;     // R
  int64_t columns;  // K, the columns of dx
  int64_t depth;    // N, what the product sums over
  LinearDxEpilogue epilogue;
};

struct LinearDwCall {
  explicit LinearDwCall(const Call& call)
      : dw(call[0].f32()),
        db(call[1].f32()),
        dy(call[2].f32()),
        x(call[3].f32()),
        rows(call[2].shape[0]),
        columns(call[2].shape[1]),
        depth(call[3] ? call[3].shape[1] : 0) {}

  float* dw;
  float* db;
  const float* dy;
  const float* x;
  int64_t rows;     // R
  int64_t columns;  // N
  int64_t depth;    // K
};

}  // namespace oa::OA_ISA
