// A warp's share of a row, f32 or bf16 in memory: a stripe of 128 neighbouring columns, four to a lane, a warp's width
// apart. Every access of a warp is then one run of 128 bytes (64 in bf16), whatever the row's alignment, and four are
// in flight at once.
#pragma once

#include "cuda/bf16.cuh"
#include "cuda/warp.cuh"

namespace oa::cuda {

constexpr int kLaneColumns = 4;
constexpr int kStripe = kLaneColumns * kWarp;

// What a lane holds of a stripe.
struct Columns {
  float at[kLaneColumns];
};

// `row` points at the stripe; columns from `width` on read as zero.
template <class T>
__device__ __forceinline__ Columns load_columns(const T* row, int64_t width) {
  Columns columns;
#pragma unroll
  for (int i = 0; i < kLaneColumns; ++i) {
    const int c = i * kWarp + lane();
    columns.at[i] = c < width ? load(row + c) : 0.0f;
  }
  return columns;
}

template <class T>
__device__ __forceinline__ void store_columns(T* row, int64_t width, const Columns& columns) {
#pragma unroll
  for (int i = 0; i < kLaneColumns; ++i) {
    const int c = i * kWarp + lane();
    if (c < width) store(row + c, columns.at[i]);
  }
}

__device__ __forceinline__ void add_columns(Columns& sum, const Columns& columns) {
#pragma unroll
  for (int i = 0; i < kLaneColumns; ++i) sum.at[i] += columns.at[i];
}

// Which stripe of which row is this warp's, where the warps of all blocks are counted through, stripes first.
struct StripePlace {
  int64_t row;
  int64_t column;
};
__device__ __forceinline__ StripePlace stripe_place(unsigned stripes) {
  const unsigned number = blockIdx.x * (blockDim.x / kWarp) + static_cast<unsigned>(warp());
  return {number / stripes, int64_t{number % stripes} * kStripe};
}

}  // namespace oa::cuda
