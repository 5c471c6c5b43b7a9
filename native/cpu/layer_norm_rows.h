// Statistics of one row, shared by every op that ends in a LayerNorm (Ba et al. 2016).
#pragma once

#include "cpu/vec.h"

namespace oa::OA_ISA {

// Σ f(x[i]) over a row, f on vectors with f(0) allowed to be anything: lanes beyond n are not counted.
template <class F>
OA_INLINE float row_sum(const float* x, int64_t n, const F& f) {
  Vec sum{}, sum1{};  // two chains, since one alone waits on the latency of its additions
  int64_t i = 0;
  for (; i + 2 * kLanes <= n; i += 2 * kLanes) {
    sum += f(load(x + i));
    sum1 += f(load(x + i + kLanes));
  }
  for (; i + kLanes <= n; i += kLanes) sum += f(load(x + i));
  float tail = 0;
  for (; i < n; ++i) tail += f(broadcast(x[i]))[0];
  return reduce_add(sum + sum1) + tail;
}

// Mean and 1 / sqrt(variance + epsilon) of x[n], n >= 1: biased variance, two passes, since E[x²] - E[x]² cancels.
inline void row_statistics(const float* x, int64_t n, float& mean, float& rstd, float epsilon) {
  mean = row_sum(x, n, [](Vec v) { return v; }) / static_cast<float>(n);
  const Vec center = broadcast(mean);
  const float squares = row_sum(x, n, [&](Vec v) { return (v - center) * (v - center); });
  rstd = 1.0f / __builtin_sqrtf(squares / static_cast<float>(n) + epsilon);
}

// xhat = (x - mean) * rstd and y = xhat * gamma + beta for one row; xhat may be null, y may be x.
inline void normalize_row(float* y, float* xhat, const float* x, const float* gamma, const float* beta, int64_t n,
                          float mean, float rstd) {
  for (int64_t i = 0; i < n; i += kLanes) {
    const int count = n - i < kLanes ? static_cast<int>(n - i) : kLanes;
    if (count == kLanes) {
      const Vec h = (load(x + i) - mean) * rstd;
      if (xhat) store(xhat + i, h);
      store(y + i, fma(h, load(gamma + i), load(beta + i)));
    } else {
      const Vec h = (load_partial(x + i, count) - mean) * rstd;
      if (xhat) store_partial(xhat + i, h, count);
      store_partial(y + i, fma(h, load_partial(gamma + i, count), load_partial(beta + i, count)), count);
    }
  }
}

}  // namespace oa::OA_ISA
