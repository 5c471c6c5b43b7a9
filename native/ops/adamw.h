// AdamW over the flat buffers of all trained parameters, one pass: Adam (Kingma & Ba 2015, Alg. 1) with decoupled
// weight decay (Loshchilov & Hutter 2019, Alg. 2). For every element, in this order, with t = step + 1:
//   g  = gradients * min(1, clip_norm / (norm + 1e-6))     when clip_norm > 0
//   p *= 1 - lr * weight_decay                             the first `decayed` elements of the buffer only
//   m  = beta1 * m + (1 - beta1) * g
//   v  = beta2 * v + (1 - beta2) * g²
//   p -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon)
// Without bias_correction both divisors of the last line are 1, as in the optimizer that BERT was trained with.
// Unlike Alg. 2 the decay is multiplied by lr, not by a schedule of its own (as in PyTorch).
//
//   parameters, moment1, moment2  f32[N]  read and written in place
//   gradients                     f32[N]
//   norm                          f32[1]  of gradients, before clipping (grad_norm)
//
// Learning rate and step come from StepScalars. When norm is not finite nothing changes: one bad batch must not destroy
// the parameters, and whoever trains sees the norm. Factors are computed in f64 once, elements in f32.
#pragma once

#include <cmath>

#include "ops/call.h"

namespace oa::OA_ISA {

struct AdamwCall {
  explicit AdamwCall(const Call& call)
      : parameters(call[0].f32()),
        moment1(call[1].f32()),
        moment2(call[2].f32()),
        gradients(call[3].f32()),
        norm(call[4].f32()),
        size(call[0].size()),
        beta1(call.attribute_f32(0)),
        beta2(call.attribute_f32(1)),
        epsilon(call.attribute_f32(2)),
        weight_decay(call.attribute_f32(3)),
        clip_norm(call.attribute_f32(4)),
        bias_correction(call.attribute_i32(5) != 0),
        decayed(call.attribute_i32(6)) {}

  float* parameters;
  float* moment1;
  float* moment2;
  const float* gradients;
  const float* norm;
  int64_t size;  // N
  float beta1;
  float beta2;
  float epsilon;
  float weight_decay;
  float clip_norm;  // 0: no clipping
  bool bias_correction;
  int64_t decayed;
};

// What every element of a step has in common; in f64 but for the results. Reads *norm.
struct AdamwFactors {
  OA_HOST_DEVICE AdamwFactors(const AdamwCall& a, const StepScalars& scalars) {
    const double beta164 = a.beta1, beta264 = a.beta2, rate = scalars.learning_rate;
    const double t = static_cast<double>(scalars.step) + 1;
    const double correction1 = a.bias_correction ? 1 - ::pow(beta164, t) : 1;
    const double correction2 = a.bias_correction ? 1 - ::pow(beta264, t) : 1;
    const double factor = a.clip_norm > 0 ? a.clip_norm / (static_cast<double>(*a.norm) + 1e-6) : 1;
    clip = factor < 1 ? static_cast<float>(factor) : 1.0f;
    keep = static_cast<float>(1 - rate * static_cast<double>(a.weight_decay));
    old1 = a.beta1;
    new1 = static_cast<float>(1 - beta164);
    old2 = a.beta2;
    new2 = static_cast<float>(1 - beta264);
    rate1 = static_cast<float>(rate / correction1);
    root2 = static_cast<float>(1 / ::sqrt(correction2));
    epsilon = a.epsilon;
  }

  float clip;        // of the gradients
  float keep;        // of decayed parameters
  float old1, new1;  // beta1, 1 - beta1
  float old2, new2;  // beta2, 1 - beta2
  float rate1;       // lr / (1 - beta1^t)
  float root2;       // 1 / sqrt(1 - beta2^t)
  float epsilon;
};

}  // namespace oa::OA_ISA
