// Four neighbouring numbers of a matrix row, f32 or bf16 in memory: what a thread of the row kernels reads and writes
// at a time.
//
// kWhole: rows are whole quads, 16-byte aligned, and a quad is one access, of 128 bits or, in bf16, of 64. Else every
// element is guarded, and what lies behind the row reads as 0 and is not written. Quads entirely behind the row are
// allowed in both.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <initializer_list>

#include "cuda/bf16.cuh"
#include "cuda/philox.cuh"
#include "cuda/warp.cuh"

namespace oa::cuda {

constexpr int kQuad = 4;
constexpr int kWarpColumns = kWarp * kQuad;

// Whether rows of these matrices are whole quads. Absent ones (null) do not matter.
inline bool is_whole(int64_t columns, std::initializer_list<const void*> matrices) {
  bool aligned = columns % kQuad == 0;
  for (const void* matrix : matrices) aligned &= reinterpret_cast<uintptr_t>(matrix) % sizeof(float4) == 0;
  return aligned;
}

// f of each element.
template <class F, class... Quads>
__device__ __forceinline__ float4 each(const F& f, const Quads&... quads) {
  return {f(quads.x...), f(quads.y...), f(quads.z...), f(quads.w...)};
}

__device__ __forceinline__ float4 add(float4 a, float4 b) {
  return each([](float x, float y) { return x + y; }, a, b);
}
__device__ __forceinline__ float4 multiply(float4 a, float4 b) {
  return each([](float x, float y) { return x * y; }, a, b);
}
__device__ __forceinline__ float4 multiply_add(float4 a, float4 b, float4 c) {
  return each([](float x, float y, float z) { return fmaf(x, y, z); }, a, b, c);
}
__device__ __forceinline__ float total(float4 a) { return (a.x + a.y) + (a.z + a.w); }

// Zeros from the column `columns` on.
template <bool kWhole>
__device__ __forceinline__ float4 keep_inside(float4 quad, int column, int columns) {
  if constexpr (kWhole) return quad;
  return {column < columns ? quad.x : 0.0f, column + 1 < columns ? quad.y : 0.0f, column + 2 < columns ? quad.z : 0.0f,
          column + 3 < columns ? quad.w : 0.0f};
}

template <bool kWhole, class T>
__device__ __forceinline__ float4 load_quad(const T* row, int column, int columns) {
  if constexpr (kWhole) {
    return column < columns ? load_four(row + column) : float4{};
  } else {
    return {column < columns ? load(row + column) : 0.0f, column + 1 < columns ? load(row + column + 1) : 0.0f,
            column + 2 < columns ? load(row + column + 2) : 0.0f, column + 3 < columns ? load(row + column + 3) : 0.0f};
  }
}

// Of a parameter or of a weight's row, which may start at any float, whatever the activations' rows do.
template <bool kWhole>
__device__ __forceinline__ float4 load_quad_anywhere(const float* row, int column, int columns) {
  if (kWhole && reinterpret_cast<uintptr_t>(row) % sizeof(float4) == 0) return load_quad<true>(row, column, columns);
  return load_quad<false>(row, column, columns);
}

template <bool kWhole, class T>
__device__ __forceinline__ void store_quad(T* row, int column, int columns, float4 quad) {
  if constexpr (kWhole) {
    if (column < columns) store_four(row + column, quad);
  } else {
    if (column < columns) store(row + column, quad.x);
    if (column + 1 < columns) store(row + column + 1, quad.y);
    if (column + 2 < columns) store(row + column + 2, quad.z);
    if (column + 3 < columns) store(row + column + 3, quad.w);
  }
}

// --- dropout ---

struct Dropout {
  float p;
  uint32_t rng;
  const StepScalars* scalars;  // of the device
};

// Masks of a matrix's elements, where kDropout; else everything passes. Made once a thread.
template <bool kDropout>
class QuadMask {
 public:
  __device__ __forceinline__ QuadMask(const Dropout& dropout, int columns)
      : mask_(dropout.p, dropout.rng, dropout.scalars), columns_(columns) {}

  template <bool kWhole>
  __device__ __forceinline__ float4 apply(float4 quad, int64_t row, int column) const {
    const int64_t element = row * columns_ + column;
    if constexpr (kWhole) return multiply(quad, mask_.four(static_cast<unsigned>(element >> 2), 0));
    return multiply(
        quad, {mask_.one(element, 0), mask_.one(element + 1, 0), mask_.one(element + 2, 0), mask_.one(element + 3, 0)});
  }

 private:
  DropoutMask mask_;
  int columns_;
};

template <>
class QuadMask<false> {
 public:
  __device__ __forceinline__ QuadMask(const Dropout&, int) {}

  template <bool kWhole>
  __device__ __forceinline__ float4 apply(float4 quad, int64_t, int) const {
    return quad;
  }
};

// --- one quad after the other ---

constexpr int kTileWarps = 8;
constexpr int kTileThreads = kTileWarps * kWarp;
constexpr int kTileRows = 32;

// The quads of a thread in kernels that take every element of a matrix once: a block owns kTileRows rows of
// kWarpColumns columns, a lane one quad of columns, a warp every kTileWarps-th row.
struct QuadTile {
  __device__ __forceinline__ explicit QuadTile(int64_t rows)
      : column((static_cast<int>(blockIdx.y) * kWarp + lane()) * kQuad),
        begin(int64_t{blockIdx.x} * kTileRows + warp()),
        end((int64_t{blockIdx.x} + 1) * kTileRows < rows ? (int64_t{blockIdx.x} + 1) * kTileRows : rows) {}

  int column;
  int64_t begin;  // rows begin, begin + kTileWarps, ... below end
  int64_t end;
};

inline Grid quad_tiles(const char* name, int64_t rows, int64_t columns) {
  return {name, dim3(blocks_for(rows, kTileRows), blocks_for(columns, kWarpColumns)), dim3(kTileThreads)};
}

}  // namespace oa::cuda
