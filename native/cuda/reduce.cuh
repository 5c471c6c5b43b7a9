// Sums over a block, always added in the same order.
#pragma once

#include "cuda/shared.cuh"
#include "cuda/warp.cuh"

namespace oa::cuda {

constexpr int kMaxWarps = 32;

// Where the warps of a block leave their parts.
template <class T>
using WarpParts = SharedArray<T, kMaxWarps>;

// Every thread of a one-dimensional block gets the sum. `parts` may be used again behind the next barrier.
template <class T>
__device__ __forceinline__ T block_sum(T value, WarpParts<T>& parts) {
  value = warp_sum(value);
  if (lane() == 0) parts[warp()] = value;
  sync_block();
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  T sum = lane() < warps ? static_cast<T>(parts[lane()]) : T{0};
  return warp_sum(sum);
}

}  // namespace oa::cuda
