// The one micro-kernel under every product: a tile of C in registers, C = scale · A·B or C += scale · A·B.
//
// Per k it loads a row of B (kVectors vectors) and multiplies it by one broadcast element of each row of A. Every
// element of C sums its products in the order of k in one chain, whatever the tile's size: a row's result does not
// depend on the rows beside it.
#pragma once

#include "cpu/vec.h"

namespace oa::OA_ISA {

// Vectors in a row of a full tile, and the rows of a tile 1, 2, ... vectors wide: as many accumulators as leave
// registers for the row of B and the broadcast (AVX2: 16 registers, AVX-512 and NEON: 32).
#if OA_ISA_NUMBER == OA_ISA_avx512
constexpr int kTileVectors = 2;
constexpr int kTileRows[] = {24, 12};
#elif OA_ISA_NUMBER == OA_ISA_avx512_as_avx2
constexpr int kTileVectors = 2;
constexpr int kTileRows[] = {6, 3};  // each vector is two registers
#elif OA_ISA_NUMBER == OA_ISA_avx2
constexpr int kTileVectors = 3;
constexpr int kTileRows[] = {12, 6, 4};
#elif OA_ISA_NUMBER == OA_ISA_neon
constexpr int kTileVectors = 4;
constexpr int kTileRows[] = {24, 12, 8, 6};
#else
constexpr int kTileVectors = 2;
constexpr int kTileRows[] = {8, 4};
#endif

// Columns of a full tile, and of a panel of packed weights.
constexpr int kTileColumns = kTileVectors * kLanes;

struct Tile {
  float* c;
  int64_t ldc;
  const float* a;  // element (row, k) at a[row * a_row + k * a_k]
  int64_t a_row, a_k;
  const float* b;  // row k at b + k * b_k
  int64_t b_k;
  int64_t k;
  float scale;
  bool accumulate;
};

// kPartial: of the last vector only `last` columns exist in B and in C.
template <int kRows, int kVectors, bool kPartial>
void multiply_tile(const Tile& t, int last) {
  Vec sum[kRows][kVectors] = {};
  const float* a = t.a;
  const float* b = t.b;
  for (int64_t k = 0; k < t.k; ++k, a += t.a_k, b += t.b_k) {
    Vec row[kVectors];
#pragma GCC unroll 32
    for (int v = 0; v < kVectors; ++v) {
      row[v] = kPartial && v == kVectors - 1 ? load_partial(b + v * kLanes, last) : load(b + v * kLanes);
    }
#pragma GCC unroll 32
    for (int r = 0; r < kRows; ++r) {
      const Vec element = broadcast(a[r * t.a_row]);
#pragma GCC unroll 32
      for (int v = 0; v < kVectors; ++v) sum[r][v] = fma(element, row[v], sum[r][v]);
    }
  }
#pragma GCC unroll 32
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 32
    for (int v = 0; v < kVectors; ++v) {
      float* c = t.c + r * t.ldc + v * kLanes;
      const Vec product = sum[r][v] * t.scale;
      if (kPartial && v == kVectors - 1) {
        store_partial(c, t.accumulate ? load_partial(c, last) + product : product, last);
      } else {
        store(c, t.accumulate ? load(c) + product : product);
      }
    }
  }
}

// The instance for this many rows, found by counting down.
template <int kRows, int kVectors>
inline void multiply_rows(const Tile& t, int rows, int last) {
  if (rows == kRows) {
    if (last == kLanes) return multiply_tile<kRows, kVectors, false>(t, last);
    return multiply_tile<kRows, kVectors, true>(t, last);
  }
  if constexpr (kRows > 1) multiply_rows<kRows - 1, kVectors>(t, rows, last);
}

// Any number of rows by kVectors vectors: cut into tiles of nearly equal height, so that no tile is left with a row
// or two, for which loading B costs more than multiplying.
template <int kVectors>
inline void multiply_column(Tile t, int64_t rows, int last) {
  constexpr int kMost = kTileRows[kVectors - 1];
  for (int64_t tiles = (rows + kMost - 1) / kMost; tiles > 0; --tiles) {
    const int64_t height = (rows + tiles - 1) / tiles;
    multiply_rows<kMost, kVectors>(t, static_cast<int>(height), last);
    t.a += height * t.a_row;
    t.c += height * t.ldc;
    rows -= height;
  }
}

// rows by columns, 1 <= columns <= kTileColumns.
template <int kVectors = kTileVectors>
inline void multiply_panel(const Tile& t, int64_t rows, int64_t columns) {
  if (columns > (kVectors - 1) * kLanes) {
    return multiply_column<kVectors>(t, rows, static_cast<int>(columns) - (kVectors - 1) * kLanes);
  }
  if constexpr (kVectors > 1) multiply_panel<kVectors - 1>(t, rows, columns);
}

}  // namespace oa::OA_ISA
