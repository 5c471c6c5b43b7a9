// Dropout masks of a GPU: the numbers of cpu/philox.h, one element or one block of four at a time.
// key = (seed low, seed high); counter = (element / 4, step, rng, stream); the element's lane is element % 4.
#pragma once

#include <cuda_runtime.h>

#include "base/step.h"

namespace oa::cuda {

// Philox4x32-10 (Salmon et al. 2011).
__device__ __forceinline__ uint4 philox(uint4 counter, uint2 key) {
#pragma unroll
  for (int round = 0; round < 10; ++round) {
    const unsigned high0 = __umulhi(0xD2511F53u, counter.x), low0 = 0xD2511F53u * counter.x;
    const unsigned high1 = __umulhi(0xCD9E8D57u, counter.z), low1 = 0xCD9E8D57u * counter.z;
    counter = {high1 ^ counter.y ^ key.x, low1, high0 ^ counter.w ^ key.y, low0};
    key.x += 0x9E3779B9u;
    key.y += 0xBB67AE85u;
  }
  return counter;
}

// The multipliers of one dropout: 0 where the number is under p·2^32, else 1 / (1 - p). 0 <= p < 1.
struct DropoutMask {
  uint2 key;
  unsigned step;
  unsigned rng;
  unsigned threshold;
  float scale;

  // `scalars` lies in device memory: seed and step change under a captured graph.
  __device__ __forceinline__ DropoutMask(float p, uint32_t rng_, const StepScalars* scalars)
      : key{static_cast<unsigned>(scalars->seed), static_cast<unsigned>(scalars->seed >> 32)},
        step(scalars->step),
        rng(rng_),
        threshold(static_cast<unsigned>(static_cast<double>(p) * 4294967296.0)),
        scale(1.0f / (1.0f - p)) {}

  // Of the elements 4·block to 4·block + 3 of `stream`.
  __device__ __forceinline__ float4 four(unsigned block, unsigned stream) const {
    const uint4 numbers = philox({block, step, rng, stream}, key);
    return {numbers.x >= threshold ? scale : 0.0f, numbers.y >= threshold ? scale : 0.0f,
            numbers.z >= threshold ? scale : 0.0f, numbers.w >= threshold ? scale : 0.0f};
  }

  // Of one element of `stream`.
  __device__ __forceinline__ float one(int64_t element, unsigned stream) const {
    const float4 all = four(static_cast<unsigned>(element >> 2), stream);
    const int place = static_cast<int>(element & 3);
    return place < 2 ? (place == 0 ? all.x : all.y) : (place == 2 ? all.z : all.w);
  }
};

}  // namespace oa::cuda
