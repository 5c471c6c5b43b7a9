// Vectors of floats, one width per instruction set, on the vector extensions of GCC and Clang: + - * / < & work on
// them as on numbers. Here: the types and what the compiler does well from plain code. In vec_<isa>.h: what needs
// intrinsics. Included with OA_ISA defined; everything lives in the namespace of that instruction set.
#pragma once

#include <cstdint>

#define OA_INLINE inline __attribute__((always_inline))

// The instruction set as a number, so that #if can compare it.
#define OA_ISA_scalar 1
#define OA_ISA_avx2 2
#define OA_ISA_avx512 3
#define OA_ISA_avx512_as_avx2 4  // the AVX-512 source compiled for AVX2: tests it on machines without AVX-512
#define OA_ISA_neon 5
#define OA_CONCAT_(a, b) a##b
#define OA_CONCAT(a, b) OA_CONCAT_(a, b)
#define OA_ISA_NUMBER OA_CONCAT(OA_ISA_, OA_ISA)

// Vectors wider than the flags' registers would be passed in memory; but all functions on them are inlined.
#pragma GCC diagnostic ignored "-Wpsabi"

namespace oa::OA_ISA {

#if OA_ISA_NUMBER == OA_ISA_avx512 || OA_ISA_NUMBER == OA_ISA_avx512_as_avx2
constexpr int kLanes = 16;
#elif OA_ISA_NUMBER == OA_ISA_avx2
constexpr int kLanes = 8;
#else
constexpr int kLanes = 4;
#endif

using Vec = float __attribute__((vector_size(4 * kLanes)));
using IVec = int32_t __attribute__((vector_size(4 * kLanes)));  // comparisons give one: -1 true, 0 false
using UVec = uint32_t __attribute__((vector_size(4 * kLanes)));
using UnalignedVec = float __attribute__((vector_size(4 * kLanes), aligned(4), may_alias));

OA_INLINE Vec load(const float* p) { return *reinterpret_cast<const UnalignedVec*>(p); }
OA_INLINE void store(float* p, Vec v) { *reinterpret_cast<UnalignedVec*>(p) = v; }
OA_INLINE Vec broadcast(float x) { return x - Vec{}; }
OA_INLINE IVec broadcast_int(int32_t x) { return x - IVec{}; }
OA_INLINE UVec broadcast_unsigned(uint32_t x) { return x - UVec{}; }
OA_INLINE Vec fma(Vec a, Vec b, Vec c) { return a * b + c; }
OA_INLINE Vec select(IVec mask, Vec a, Vec b) { return mask ? a : b; }
OA_INLINE Vec to_float(IVec v) { return __builtin_convertvector(v, Vec); }

}  // namespace oa::OA_ISA

#if OA_ISA_NUMBER == OA_ISA_avx2
#include "cpu/vec_avx2.h"
#elif OA_ISA_NUMBER == OA_ISA_avx512 || OA_ISA_NUMBER == OA_ISA_avx512_as_avx2
#include "cpu/vec_avx512.h"
#elif OA_ISA_NUMBER == OA_ISA_neon
#include "cpu/vec_neon.h"
#else
#include "cpu/vec_scalar.h"
#endif
