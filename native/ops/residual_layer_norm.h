// Dropout, residual sum and LayerNorm in one pass: s = dropout(x) + residual; y = LayerNorm(s), as in layer_norm.h.
//
//   y, xhat, x, residual  f32[R, C]   xhat, optional: saved for backward
//   rstd                  f32[R]      optional: saved for backward
//   gamma, beta           f32[C]
//
// dropout: x∘mask / (1 - p), the mask a function of (seed, step, rng, row·C + column) alone, see cpu/philox.h.
//
// Backward, every output optional and written whole with `=`; ds is the gradient of LayerNorm with respect to s:
//   d_residual = ds                   f32[R, C]
//   dx         = ds∘mask / (1 - p)    f32[R, C]
//   d_gamma, d_beta                   f32[C]     as in layer_norm.h
// Outputs alias nothing.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct ResidualLayerNormCall {
  explicit ResidualLayerNormCall(const Call& call)
      : y(call[0].f32()),
        xhat(call[1].f32()),
        rstd(call[2].f32()),
        x(call[3].f32()),
        residual(call[4].f32()),
        gamma(call[5].f32()),
        beta(call[6].f32()),
        rows(call[0].shape[0]),
        columns(call[0].shape[1]),
        epsilon(call.attribute_f32(0)),
        dropout(call.attribute_f32(1)),
        rng(call.attribute_u32(2)) {}

  float* y;
  float* xhat;
  float* rstd;
  const float* x;
  const float* residual;
  const float* gamma;
  const float* beta;
  int64_t rows;     // R
  int64_t columns;  // C
  float epsilon;
  float dropout;
  uint32_t rng;
};

struct ResidualLayerNormBackwardCall {
  explicit ResidualLayerNormBackwardCall(const Call& call)
      : dx(call[0].f32()),
        d_residual(call[1].f32()),
        d_gamma(call[2].f32()),
        d_beta(call[3].f32()),
        dy(call[4].f32()),
        xhat(call[5].f32()),
        rstd(call[6].f32()),
        gamma(call[7].f32()),
        rows(call[4].shape[0]),
        columns(call[4].shape[1]),
        dropout(call.attribute_f32(0)),
        rng(call.attribute_u32(1)) {}

  float* dx;
  float* d_residual;
  float* d_gamma;
  float* d_beta;
  const float* dy;
  const float* xhat;
  const float* rstd;
  const float* gamma;
  int64_t rows;     // R
  int64_t columns;  // C
  float dropout;
  uint32_t rng;
};

}  // namespace oa::OA_ISA
