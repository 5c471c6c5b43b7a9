// What the 32 threads of a warp do together. All lanes that `mask` names must arrive, and no others.
#pragma once

#include <cuda_runtime.h>

#include "cuda/launch.cuh"

namespace oa::cuda {

constexpr unsigned kFullWarp = 0xffffffffu;

// Of one-dimensional blocks.
__device__ __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % kWarp; }
__device__ __forceinline__ int warp() { return static_cast<int>(threadIdx.x) / kWarp; }

// The value that lane (own lane XOR `distance`) gives.
template <class T>
__device__ __forceinline__ T shuffle_xor(T value, int distance, unsigned mask = kFullWarp) {
#ifdef OA_CUDA_STANDIN
  return standin::shuffle(mask, value, lane() ^ distance);
#else
  return __shfl_xor_sync(mask, value, distance);
#endif
}

// The value that lane `source` gives.
template <class T>
__device__ __forceinline__ T shuffle(T value, int source, unsigned mask = kFullWarp) {
#ifdef OA_CUDA_STANDIN
  return standin::shuffle(mask, value, source);
#else
  return __shfl_sync(mask, value, source);
#endif
}

// Memory written by a lane before is seen by all lanes after.
__device__ __forceinline__ void sync_warp(unsigned mask = kFullWarp) {
#ifdef OA_CUDA_STANDIN
  standin::warp_barrier(mask);
#else
  __syncwarp(mask);
#endif
}

// The barrier of a whole block: every thread must arrive, at the same place.
#ifdef OA_CUDA_STANDIN
inline void sync_block(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  standin::block_barrier(file, line);
}
#else
__device__ __forceinline__ void sync_block() { __syncthreads(); }
#endif

// Every lane gets the sum, always added in the same order.
template <class T>
__device__ __forceinline__ T warp_sum(T value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) value += shuffle_xor(value, distance);
  return value;
}

__device__ __forceinline__ float warp_max(float value) {
  for (int distance = kWarp / 2; distance > 0; distance /= 2) value = fmaxf(value, shuffle_xor(value, distance));
  return value;
}

}  // namespace oa::cuda
