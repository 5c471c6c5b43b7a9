// AVX2 and FMA: eight lanes. Meaning of the functions: vec_scalar.h.
#pragma once

#include <immintrin.h>

#include "cpu/vec.h"

namespace oa::OA_ISA {

// All ones in the first n lanes: a window on eight ones followed by eight zeros.
OA_INLINE __m256i partial_mask(int n) {
  alignas(64) static const int32_t window[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(window + 8 - n));
}

OA_INLINE Vec load_partial(const float* p, int n) { return (Vec)_mm256_maskload_ps(p, partial_mask(n)); }
OA_INLINE void store_partial(float* p, Vec v, int n) { _mm256_maskstore_ps(p, partial_mask(n), (__m256)v); }
OA_INLINE Vec vmax(Vec a, Vec b) { return (Vec)_mm256_max_ps((__m256)a, (__m256)b); }
OA_INLINE Vec vmin(Vec a, Vec b) { return (Vec)_mm256_min_ps((__m256)a, (__m256)b); }
OA_INLINE Vec sqrt(Vec v) { return (Vec)_mm256_sqrt_ps((__m256)v); }

OA_INLINE float reduce_add(Vec v) {
  __m128 s = _mm_add_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

OA_INLINE float reduce_max(Vec v) {
  __m128 s = _mm_max_ps(_mm256_castps256_ps128((__m256)v), _mm256_extractf128_ps((__m256)v, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

OA_INLINE UVec mul_even(UVec a, UVec b) { return (UVec)_mm256_mul_epu32((__m256i)a, (__m256i)b); }
OA_INLINE UVec reverse_fours(UVec v) { return (UVec)_mm256_shuffle_epi32((__m256i)v, 0x1b); }

}  // namespace oa::OA_ISA
