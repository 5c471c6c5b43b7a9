// Bottleneck adapter with the residual sum and the LayerNorm that follow it, in one pass over the rows
// (Houlsby et al. 2019 §2.1 and figure 2):
//   a = dropout(x);  z = a·down_wᵀ + down_b;  s = a + activation(z)·up_wᵀ + up_b + residual;  y = LayerNorm(s)
// LayerNorm as in layer_norm.h.
//
//   y, xhat, x, residual  f32[T, C]   x: output of the dense layer below, bias included; xhat optional
//   rstd                  f32[T]      optional
//   z                     f32[T, M]   optional; xhat, rstd and z are what backward needs besides x
//   down_w                f32[M, C]   frozen: form `packed`; trained: raw rows, packed into scratch at every call
//   down_b                f32[M]
//   up_w                  f32[C, M]   in the form of down_w
//   up_b, gamma, beta     f32[C]
//
// dropout: a = x∘mask / (1 - p), the mask a function of (seed, step, rng, row·C + column) alone; none inside the
// adapter, as in the reference implementation.
//
// Backward, every output optional, only those asked for are computed, each written whole with `=`:
//   ds = gradient of LayerNorm with respect to s;  dz = (ds·up_w)∘activation'(z)
//   d_residual = ds;  dx = (ds + dz·down_w)∘mask / (1 - p)                               f32[T, C]
//   d_down_w = dzᵀ·a  f32[M, C];  d_down_b = Σ dz  f32[M]
//   d_up_w = dsᵀ·activation(z)  f32[C, M];  d_up_b = Σ ds  f32[C]
//   d_gamma, d_beta  f32[C]  as in layer_norm.h
// Weight gradients sum all rows in order; vectors are partial sums per chunk of rows, added in chunk order.
// Outputs alias nothing.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct AdapterCall {
  explicit AdapterCall(const Call& call)
      : y(call[0].f32()),
        xhat(call[1].f32()),
        rstd(call[2].f32()),
        z(call[3].f32()),
        x(call[4].f32()),
        residual(call[5].f32()),
        down_w(call[6].f32()),
        down_b(call[7].f32()),
        up_w(call[8].f32()),
        up_b(call[9].f32()),
        gamma(call[10].f32()),
        beta(call[11].f32()),
        packed(call[6].form == Form::packed),
        rows(call[0].shape[0]),
        columns(call[0].shape[1]),
        bottleneck(call[6].shape[0]),
        activation(call.attribute_i32(0)),
        epsilon(call.attribute_f32(1)),
        dropout(call.attribute_f32(2)),
        rng(call.attribute_u32(3)) {}

  float* y;
  float* xhat;
  float* rstd;
  float* z;
  const float* x;
  const float* residual;
  const float* down_w;
  const float* down_b;
  const float* up_w;
  const float* up_b;
  const float* gamma;
  const float* beta;
  bool packed;         // down_w and up_w are panels already
  int64_t rows;        // T
  int64_t columns;     // C
  int64_t bottleneck;  // M
  int32_t activation;
  float epsilon;
  float dropout;
  uint32_t rng;
};

struct AdapterBackwardCall {
  explicit AdapterBackwardCall(const Call& call)
      : dx(call[0].f32()),
        d_residual(call[1].f32()),
        d_down_w(call[2].f32()),
        d_down_b(call[3].f32()),
        d_up_w(call[4].f32()),
        d_up_b(call[5].f32()),
        d_gamma(call[6].f32()),
        d_beta(call[7].f32()),
        dy(call[8].f32()),
        x(call[9].f32()),
        z(call[10].f32()),
        xhat(call[11].f32()),
        rstd(call[12].f32()),
        down_w(call[13].f32()),
        up_w(call[14].f32()),
        gamma(call[15].f32()),
        rows(call[8].shape[0]),
        columns(call[8].shape[1]),
        bottleneck(call[13].shape[0]),
        activation(call.attribute_i32(0)),
        dropout(call.attribute_f32(1)),
        rng(call.attribute_u32(2)) {}

  float* dx;
  float* d_residual;
  float* d_down_w;
  float* d_down_b;
  float* d_up_w;
  float* d_up_b;
  float* d_gamma;
  float* d_beta;
  const float* dy;
  const float* x;
  const float* z;
  const float* xhat;
  const float* rstd;
  const float* down_w;
  const float* up_w;
  const float* gamma;
  int64_t rows;        // T
  int64_t columns;     // C
  int64_t bottleneck;  // M
  int32_t activation;
  float dropout;
  uint32_t rng;
};

}  // namespace oa::OA_ISA
