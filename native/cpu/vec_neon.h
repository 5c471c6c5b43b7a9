// NEON on arm64: four lanes. Meaning of the functions: vec_scalar.h.
#pragma once

#include <arm_neon.h>

#include "cpu/vec.h"

namespace oa::OA_ISA {

OA_INLINE Vec load_partial(const float* p, int n) {
  Vec v{};
  if (n == kLanes) return load(p);
  if (n > 0) v[0] = p[0];
  if (n > 1) v[1] = p[1];
  if (n > 2) v[2] = p[2];
  return v;
}

OA_INLINE void store_partial(float* p, Vec v, int n) {
  if (n == kLanes) return store(p, v);
  if (n > 0) p[0] = v[0];
  if (n > 1) p[1] = v[1];
  if (n > 2) p[2] = v[2];
}

// Comparisons rather than fmax: b where either is NaN, as on x86.
OA_INLINE Vec vmax(Vec a, Vec b) { return a > b ? a : b; }
OA_INLINE Vec vmin(Vec a, Vec b) { return a < b ? a : b; }
OA_INLINE Vec sqrt(Vec v) { return (Vec)vsqrtq_f32((float32x4_t)v); }
OA_INLINE float reduce_add(Vec v) { return vaddvq_f32((float32x4_t)v); }
OA_INLINE float reduce_max(Vec v) { return vmaxvq_f32((float32x4_t)v); }

OA_INLINE UVec mul_even(UVec a, UVec b) {
  const uint32x2_t low_a = vmovn_u64((uint64x2_t)a), low_b = vmovn_u64((uint64x2_t)b);
  return (UVec)vmull_u32(low_a, low_b);
}

OA_INLINE UVec reverse_fours(UVec v) {
  const uint32x4_t swapped = vrev64q_u32((uint32x4_t)v);
  return (UVec)vextq_u32(swapped, swapped, 2);
}

}  // namespace oa::OA_ISA
