// How activations and frozen weights lie in a GPU's memory: as f32, or as bf16, the upper half of an f32. Arithmetic is
// f32 in either case: kernels are templates on the storage type and touch memory only by load, store, load_four and
// store_four. Rounding is to the nearest, ties to even; infinities stay, and every NaN becomes 0x7fff, as on a GPU.
#pragma once

#include <cuda_runtime.h>
#ifndef OA_CUDA_STANDIN
#include <cuda_bf16.h>
#endif

#include <cstdint>
#include <cstring>

#include "base/dtype.h"

namespace oa::cuda {

struct Bf16 {
  uint16_t bits;
};
static_assert(sizeof(Bf16) == 2 && alignof(Bf16) == 2);

// The structs of op headers name every matrix as f32; what a call has in another type is got at by this.
template <class T>
__host__ __device__ __forceinline__ T* as(float* matrix) {
  return reinterpret_cast<T*>(matrix);
}
template <class T>
__host__ __device__ __forceinline__ const T* as(const float* matrix) {
  return reinterpret_cast<const T*>(matrix);
}

// Calls f with a value of the type that is stored: f32 or bf16.
template <class F>
void with_storage(DType dtype, const F& f) {
  if (dtype == DType::bf16) return f(Bf16{});
  f(float{});
}

// --- values ---

__device__ __forceinline__ float widen(float x) { return x; }
__device__ __forceinline__ float widen(Bf16 x) {
  const uint32_t bits = uint32_t{x.bits} << 16;
  float value;
  memcpy(&value, &bits, sizeof value);
  return value;
}

// Two of them in one register, `low` in the lower half, which is the one that comes first in memory.
__device__ __forceinline__ uint32_t pack_pair(float low, float high) {
#ifdef OA_CUDA_STANDIN
  return uint32_t{float_to_bf16(low)} | uint32_t{float_to_bf16(high)} << 16;
#else
  const __nv_bfloat162 pair = __floats2bfloat162_rn(low, high);
  uint32_t bits;
  memcpy(&bits, &pair, sizeof bits);
  return bits;
#endif
}
__device__ __forceinline__ float2 unpack_pair(uint32_t pair) {
  return {widen(Bf16{static_cast<uint16_t>(pair)}), widen(Bf16{static_cast<uint16_t>(pair >> 16)})};
}

template <class T>
__device__ __forceinline__ T narrow(float x);
template <>
__device__ __forceinline__ float narrow<float>(float x) {
  return x;
}
template <>
__device__ __forceinline__ Bf16 narrow<Bf16>(float x) {
#ifdef OA_CUDA_STANDIN
  return {float_to_bf16(x)};
#else
  return {__bfloat16_as_ushort(__float2bfloat16_rn(x))};
#endif
}

// --- one element ---

template <class T>
__device__ __forceinline__ float load(const T* from) {
  return widen(*from);
}
template <class T>
__device__ __forceinline__ void store(T* to, float value) {
  *to = narrow<T>(value);
}

// --- four neighbours in one access, aligned to four elements ---

__device__ __forceinline__ float4 load_four(const float* from) { return *reinterpret_cast<const float4*>(from); }
__device__ __forceinline__ float4 load_four(const Bf16* from) {
  const uint2 bits = *reinterpret_cast<const uint2*>(from);
  const float2 first = unpack_pair(bits.x), second = unpack_pair(bits.y);
  return {first.x, first.y, second.x, second.y};
}

__device__ __forceinline__ void store_four(float* to, float4 values) { *reinterpret_cast<float4*>(to) = values; }
__device__ __forceinline__ void store_four(Bf16* to, float4 values) {
  *reinterpret_cast<uint2*>(to) = uint2{pack_pair(values.x, values.y), pack_pair(values.z, values.w)};
}

}  // namespace oa::cuda
