// LayerNorm over the columns of every row (Ba et al. 2016):
//   mean = Σ x / C;  rstd = 1 / sqrt(Σ (x - mean)² / C + epsilon);  xhat = (x - mean)·rstd;  y = xhat∘gamma + beta
//
//   y, xhat, x   f32[R, C]   xhat, optional: saved for backward
//   rstd         f32[R]      optional: saved for backward
//   gamma, beta  f32[C]
//
// Backward, every output optional and written whole with `=`; with g = dy∘gamma:
//   dx      = rstd·(g - mean(g) - xhat·mean(g∘xhat))    f32[R, C]
//   d_gamma = Σ over rows of dy∘xhat                    f32[C]
//   d_beta  = Σ over rows of dy                         f32[C]
// The column sums are partial sums per chunk of rows, added in chunk order. Outputs alias nothing.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct LayerNormCall {
  explicit LayerNormCall(const Call& call)
      : y(call[0].f32()),
        xhat(call[1].f32()),
        rstd(call[2].f32()),
        x(call[3].f32()),
        gamma(call[4].f32()),
        beta(call[5].f32()),
        rows(call[0].shape[0]),
        columns(call[0].shape[1]),
        epsilon(call.attribute_f32(0)) {}

  float* y;
  float* xhat;
  float* rstd;
  const float* x;
  const float* gamma;
  const float* beta;
  int64_t rows;     // R
  int64_t columns;  // C
  float epsilon;
};

struct LayerNormBackwardCall {
  explicit LayerNormBackwardCall(const Call& call)
      : dx(call[0].f32()),
        d_gamma(call[1].f32()),
        d_beta(call[2].f32()),
        dy(call[3].f32()),
        xhat(call[4].f32()),
        rstd(call[5].f32()),
        gamma(call[6].f32()),
        rows(call[3].shape[0]),
        columns(call[3].shape[1]) {}

  float* dx;
  float* d_gamma;
  float* d_beta;
  const float* dy;
  const float* xhat;
  const float* rstd;
  const float* gamma;
  int64_t rows;     // R
  int64_t columns;  // C
};

}  // namespace oa::OA_ISA
