// y = activation(u) and its derivative, as cpu/math.h defines them.
#pragma once

#include <cuda_runtime.h>

#include "base/activations.h"

namespace oa::cuda {

enum Activation : int {
#define OA_ACTIVATION(code, name) activation_##name = code,
  OA_FOR_EACH_ACTIVATION(OA_ACTIVATION)
#undef OA_ACTIVATION
};

struct Activated {
  float y;
  float derivative;
};

__device__ __forceinline__ float sigmoid(float x) { return 1.0f / (1.0f + expf(-x)); }

// GELU: u·Φ(u) (Hendrycks & Gimpel 2016), and their tanh form, written with the sigmoid since (1 + tanh v) / 2 is
// sigmoid(2v). The switch is on a value all threads share.
__device__ __forceinline__ Activated activate(int activation, float u) {
  switch (activation) {
    case activation_gelu: {
      const float cumulative = normcdff(u);
      return {u * cumulative, fmaf(u, expf(-0.5f * u * u) * 0.3989422804f, cumulative)};
    }
    case activation_gelu_tanh: {
      const float near = fminf(12.0f, fmaxf(-12.0f, u));  // s is 0 or 1 there; u² stays finite
      const float square = near * near;
      const float s = sigmoid(near * fmaf(square, 0.0713548163f, 1.5957691216f));
      return {u * s, fmaf(near * s * (1.0f - s), fmaf(square, 0.2140644488f, 1.5957691216f), s)};
    }
    case activation_relu: return {u < 0.0f ? 0.0f : u, u > 0.0f ? 1.0f : 0.0f};  // NaN stays NaN
    case activation_silu: {
      const float s = sigmoid(u), y = u * s;
      return {y, fmaf(y, 1.0f - s, s)};
    }
    case activation_tanh: {
      const float y = tanhf(u);
      return {y, 1.0f - y * y};
    }
    default: return {u, 1.0f};
  }
}

}  // namespace oa::cuda
