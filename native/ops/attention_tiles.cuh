// What the attention kernels of a GPU share: tiles of sequences, rows of a head in shared memory, and a thread's part
// of the two products. attention_cuda.cu explains how they lie together, and is the only file that includes this.
#pragma once

#include "cuda/bf16.cuh"
#include "cuda/launch.cuh"
#include "cuda/philox.cuh"
#include "cuda/shared.cuh"
#include "cuda/warp.cuh"

namespace oa::cuda {
namespace {

constexpr int kTile = 32;      // rows of a block
constexpr int kStreamed = 64;  // rows of the other side in shared memory
constexpr int kAcross = 16;    // threads of a row of S
constexpr int kDown = 8;
constexpr int kThreads = kAcross * kDown;
constexpr int kOwn = 4;  // rows of a thread, and its columns of S
static_assert(kDown * kOwn == kTile && kAcross * kOwn == kStreamed);
constexpr int kWeightStride = kAcross + 1;  // float4s from row to row of P: odd, so that rows lie in different banks

// ---- tiles ----

struct Tile {
  int32_t row;     // the first, packed
  int32_t rows;    // 0: a surplus slot
  int32_t start;   // of the sequence
  int32_t length;  // of the sequence; 0: these rows belong to none
};

__host__ __device__ inline int64_t tile_slots(int64_t tokens, int64_t sequences) {
  return tokens / kTile + sequences + 1;
}

// A thread a slot: the last sequence that starts at or before it, by bisection.
__global__ void map_tiles_kernel(Tile* tiles, const int32_t* cu, int64_t tokens, int64_t sequences) {
  const int64_t slot = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (slot >= tile_slots(tokens, sequences)) return;
  int64_t low = 0, high = sequences;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (cu[middle] / kTile + middle <= slot)
      low = middle;
    else
      high = middle - 1;
  }
  const int64_t start = cu[low], end = low < sequences ? cu[low + 1] : tokens;
  const int64_t row = start + kTile * (slot - start / kTile - low);
  const int64_t rows = end - row < kTile ? end - row : kTile;
  tiles[slot] = {static_cast<int32_t>(row), static_cast<int32_t>(rows > 0 ? rows : 0), static_cast<int32_t>(start),
                 static_cast<int32_t>(low < sequences ? end - start : 0)};
}

// ---- rows in shared memory ----

// Rows of one head, padded with zeros to kWidth columns. The stride is odd, so that equal columns of rows that follow
// each other lie in different banks.
template <int kWidth, int kCount>
struct Rows {
  static constexpr int kFours = kWidth / 4;
  static constexpr int kStride = kFours + 1;
  SharedArray<float4, kCount * kStride> values;

  __device__ __forceinline__ float4 at(int row, int four) const { return values[row * kStride + four]; }
};

// Streamed row r lies at place r % 4 · 16 + r / 4: the 16 threads that each need 4 rows in a row, one after the other,
// then meet 16 rows in a row.
__device__ __forceinline__ int spread(int row) { return row % kOwn * kAcross + row / kOwn; }

template <class S>
__device__ __forceinline__ float4 read_four(const S* row, int column, int width) {
  if (width % 4 == 0) {  // then every row starts at a multiple of four elements
    return column < width ? load_four(row + column) : float4{0, 0, 0, 0};
  }
  const auto read = [&](int c) { return c < width ? load(row + c) : 0.0f; };
  return {read(column), read(column + 1), read(column + 2), read(column + 3)};
}

template <class S>
__device__ __forceinline__ void write_four(S* row, int column, int width, float4 v) {
  if (width % 4 == 0) {
    if (column < width) store_four(row + column, v);
    return;
  }
  if (column < width) store(row + column, v.x);
  if (column + 1 < width) store(row + column + 1, v.y);
  if (column + 2 < width) store(row + column + 2, v.z);
  if (column + 3 < width) store(row + column + 3, v.w);
}

// By the whole block: `count` rows from device memory, zeros behind them.
template <bool kSpread, int kWidth, int kCount, class S>
__device__ __forceinline__ void load_rows(Rows<kWidth, kCount>& rows, const S* from, int64_t stride, int count,
                                          int width) {
  constexpr int kFours = Rows<kWidth, kCount>::kFours;
#pragma unroll 2
  for (int i = static_cast<int>(threadIdx.x); i < kCount * kFours; i += kThreads) {
    const int row = i / kFours, four = i % kFours;
    const float4 v = row < count ? read_four(from + row * stride, 4 * four, width) : float4{0, 0, 0, 0};
    rows.values[(kSpread ? spread(row) : row) * Rows<kWidth, kCount>::kStride + four] = v;
  }
}

using Weights = SharedArray<float4, kTile * kWeightStride>;

// ---- a thread's part ----

// Which head and tile a block has, and which of its rows a thread.
struct Place {
  __device__ __forceinline__ Place(const Tile& tile_, int64_t heads_)
      : tile(tile_),
        heads(heads_),
        head(static_cast<int>(blockIdx.y)),
        across(static_cast<int>(threadIdx.x) % kAcross),
        own(static_cast<int>(threadIdx.x) / kAcross * kOwn) {}

  Tile tile;
  int64_t heads;
  int head;
  int across;  // owns rows 4·across to 4·across + 3 of a streamed tile
  int own;     // owns rows own to own + 3 of the tile

  __device__ __forceinline__ int streamed(int begin) const {
    return tile.length - begin < kStreamed ? tile.length - begin : kStreamed;
  }
  __device__ __forceinline__ unsigned dropout_stream(int64_t row) const {
    return static_cast<unsigned>(row * heads + head);
  }
};

__device__ __forceinline__ float part(float4 v, int i) { return i < 2 ? (i == 0 ? v.x : v.y) : (i == 2 ? v.z : v.w); }

__device__ __forceinline__ float dot(float4 a, float4 b, float sum) {
  return fmaf(a.w, b.w, fmaf(a.z, b.z, fmaf(a.y, b.y, fmaf(a.x, b.x, sum))));
}

__device__ __forceinline__ void add_scaled(float4& sum, float factor, float4 v) {
  sum.x = fmaf(factor, v.x, sum.x);
  sum.y = fmaf(factor, v.y, sum.y);
  sum.z = fmaf(factor, v.z, sum.z);
  sum.w = fmaf(factor, v.w, sum.w);
}

__device__ __forceinline__ float4 scaled(float4 v, float factor) {
  return {v.x * factor, v.y * factor, v.z * factor, v.w * factor};
}

// Over the threads of a row.
__device__ __forceinline__ float row_sum(float value) {
  for (int distance = kAcross / 2; distance > 0; distance /= 2) value += shuffle_xor(value, distance);
  return value;
}
__device__ __forceinline__ float row_max(float value) {
  for (int distance = kAcross / 2; distance > 0; distance /= 2) value = fmaxf(value, shuffle_xor(value, distance));
  return value;
}

// s[i][j] = own row i · streamed row j of this thread; nothing is done where the streamed rows are none.
template <int kWidth>
__device__ __forceinline__ void multiply_rows(float (&s)[kOwn][kOwn], const Rows<kWidth, kTile>& own,
                                              const Rows<kWidth, kStreamed>& streamed, const Place& place, int count) {
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
#pragma unroll
    for (int j = 0; j < kOwn; ++j) s[i][j] = 0;
  }
  if (kOwn * place.across >= count) return;
#pragma unroll 2
  for (int four = 0; four < kWidth / 4; ++four) {
    float4 a[kOwn], b[kOwn];
#pragma unroll
    for (int i = 0; i < kOwn; ++i) a[i] = own.at(place.own + i, four);
#pragma unroll
    for (int j = 0; j < kOwn; ++j) b[j] = streamed.at(j * kAcross + place.across, four);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
#pragma unroll
      for (int j = 0; j < kOwn; ++j) s[i][j] = dot(a[i], b[j], s[i][j]);
    }
  }
}

// A thread's part of [kTile, kWidth]: float4s across, across + 16, ... of all its kOwn rows; where a row has fewer than
// 16, so many threads share its columns, and each takes some of the rows.
template <int kWidth>
struct Sums {
  static constexpr int kFours = kWidth / 4;
  static constexpr int kShare = kFours < kAcross ? kAcross / kFours : 1;
  static_assert(kShare <= 2);
  static constexpr int kRows = kOwn / kShare;
  static constexpr int kColumns = kFours < kAcross ? 1 : kFours / kAcross;

  float4 values[kRows][kColumns];

  __device__ __forceinline__ Sums() {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
#pragma unroll
      for (int c = 0; c < kColumns; ++c) values[i][c] = {0, 0, 0, 0};
    }
  }

  // Of the thread's kOwn rows, the first that it has here.
  __device__ __forceinline__ static int first_row(int across) { return kShare == 1 ? 0 : across / kFours * kRows; }
  __device__ __forceinline__ static int column(int across, int c) {
    return kShare == 1 ? across + c * kAcross : across % kFours;
  }

  // factors[] are those of the thread's kOwn rows.
  __device__ __forceinline__ void scale(const float (&factors)[kOwn], int across) {
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      const float here = factors[i], there = factors[kOwn - kRows + i];  // the same where kShare is 1
      const float factor = first_row(across) == 0 ? here : there;
#pragma unroll
      for (int c = 0; c < kColumns; ++c) values[i][c] = scaled(values[i][c], factor);
    }
  }

  // += weights[kTile, kStreamed] · rows[kStreamed, kWidth], of which `count` rows are more than zeros.
  __device__ __forceinline__ void add_product(const Weights& weights, const Rows<kWidth, kStreamed>& rows,
                                              const Place& place, int count) {
    const int row = place.own + first_row(place.across);
#pragma unroll 2
    for (int four = 0; four < (count + 3) / 4; ++four) {
      float4 w[kRows];
#pragma unroll
      for (int i = 0; i < kRows; ++i) w[i] = weights[(row + i) * kWeightStride + four];
#pragma unroll
      for (int k = 0; k < 4; ++k) {
#pragma unroll
        for (int c = 0; c < kColumns; ++c) {
          const float4 v = rows.at(k * kAcross + four, column(place.across, c));
#pragma unroll
          for (int i = 0; i < kRows; ++i) add_scaled(values[i][c], part(w[i], k), v);
        }
      }
    }
  }

  // `to` is the first row of the tile.
  template <class S>
  __device__ __forceinline__ void write(S* to, int64_t stride, const Place& place, int width) const {
    const int row = place.own + first_row(place.across);
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      if (row + i >= place.tile.rows) continue;
#pragma unroll
      for (int c = 0; c < kColumns; ++c) {
        write_four(to + (row + i) * stride, 4 * column(place.across, c), width, values[i][c]);
      }
    }
  }
};

// The rows of a tile become 0, in `width` columns.
template <class S>
__device__ __forceinline__ void clear_rows(S* to, int64_t stride, int rows, int width) {
  for (int i = static_cast<int>(threadIdx.x); i < rows * width; i += kThreads)
    store(to + i / width * stride + i % width, 0.0f);
}

}  // namespace
}  // namespace oa::cuda
