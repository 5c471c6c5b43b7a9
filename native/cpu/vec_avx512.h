// AVX-512: sixteen lanes. Meaning of the functions: vec_scalar.h, which also serves where this source is compiled for
// a CPU without AVX-512.
#pragma once

#include "cpu/vec.h"

#ifndef __AVX512F__
#include "cpu/vec_scalar.h"
#else

#include <immintrin.h>

namespace oa::OA_ISA {

// Unmasked forms of some intrinsics make GCC 12 warn of an uninitialized value; with this mask the code is the same.
constexpr __mmask16 kAll = 0xffff;

OA_INLINE __mmask16 partial_mask(int n) { return static_cast<__mmask16>((1u << n) - 1); }

OA_INLINE Vec load_partial(const float* p, int n) { return (Vec)_mm512_maskz_loadu_ps(partial_mask(n), p); }
OA_INLINE void store_partial(float* p, Vec v, int n) { _mm512_mask_storeu_ps(p, partial_mask(n), (__m512)v); }
OA_INLINE Vec vmax(Vec a, Vec b) { return (Vec)_mm512_maskz_max_ps(kAll, (__m512)a, (__m512)b); }
OA_INLINE Vec vmin(Vec a, Vec b) { return (Vec)_mm512_maskz_min_ps(kAll, (__m512)a, (__m512)b); }
OA_INLINE Vec sqrt(Vec v) { return (Vec)_mm512_maskz_sqrt_ps(kAll, (__m512)v); }

OA_INLINE float reduce_add(Vec v) {
  const auto half = __builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7) +
                    __builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15);
  __m128 s = _mm_add_ps(_mm256_castps256_ps128((__m256)half), _mm256_extractf128_ps((__m256)half, 1));
  s = _mm_add_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

OA_INLINE float reduce_max(Vec v) {
  const __m256 half = _mm256_max_ps((__m256)__builtin_shufflevector(v, v, 0, 1, 2, 3, 4, 5, 6, 7),
                                    (__m256)__builtin_shufflevector(v, v, 8, 9, 10, 11, 12, 13, 14, 15));
  __m128 s = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
  s = _mm_max_ps(s, _mm_movehl_ps(s, s));
  return _mm_cvtss_f32(_mm_max_ss(s, _mm_movehdup_ps(s)));
}

OA_INLINE UVec mul_even(UVec a, UVec b) { return (UVec)_mm512_maskz_mul_epu32(0xff, (__m512i)a, (__m512i)b); }
OA_INLINE UVec reverse_fours(UVec v) { return (UVec)_mm512_maskz_shuffle_epi32(kAll, (__m512i)v, _MM_PERM_ABCD); }

}  // namespace oa::OA_ISA

#endif
