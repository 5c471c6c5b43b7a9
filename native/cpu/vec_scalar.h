// Any width in plain loops: the fallback for every CPU, and the reference for the other vec_<isa>.h.
#pragma once

#include "cpu/vec.h"

namespace oa::OA_ISA {

// The first n of p, zeros beyond; reads nothing beyond. 0 <= n <= kLanes, here and below.
OA_INLINE Vec load_partial(const float* p, int n) {
  Vec v{};
  for (int i = 0; i < kLanes; ++i) v[i] = i < n ? p[i] : 0.0f;
  return v;
}

// Writes the first n lanes.
OA_INLINE void store_partial(float* p, Vec v, int n) {
  for (int i = 0; i < kLanes; ++i) {
    if (i < n) p[i] = v[i];
  }
}

// b where either is NaN, as on x86.
OA_INLINE Vec vmax(Vec a, Vec b) { return a > b ? a : b; }
OA_INLINE Vec vmin(Vec a, Vec b) { return a < b ? a : b; }

OA_INLINE Vec sqrt(Vec v) {
  for (int i = 0; i < kLanes; ++i) v[i] = __builtin_sqrtf(v[i]);
  return v;
}

OA_INLINE float reduce_add(Vec v) {
  for (int half = kLanes / 2; half > 0; half /= 2) {
    for (int i = 0; i < half; ++i) v[i] += v[i + half];
  }
  return v[0];
}

OA_INLINE float reduce_max(Vec v) {
  float largest = v[0];
  for (int i = 1; i < kLanes; ++i) largest = v[i] > largest ? v[i] : largest;
  return largest;
}

// 64-bit products of the even lanes of a and b, low halves in even lanes, high halves in odd ones.
OA_INLINE UVec mul_even(UVec a, UVec b) {
  UVec product{};
  for (int i = 0; i < kLanes; i += 2) {
    const uint64_t p = uint64_t{a[i]} * b[i];
    product[i] = static_cast<uint32_t>(p);
    product[i + 1] = static_cast<uint32_t>(p >> 32);
  }
  return product;
}

// Lanes 3 2 1 0, 7 6 5 4, ...
OA_INLINE UVec reverse_fours(UVec v) {
  UVec reversed{};
  for (int i = 0; i < kLanes; ++i) reversed[i] = v[i ^ 3];
  return reversed;
}

}  // namespace oa::OA_ISA
