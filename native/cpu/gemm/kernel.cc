// The instances of the micro-kernel, one per height and width of a tile.
#include "cpu/gemm/kernel.h"

namespace oa::OA_ISA {

namespace {

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

// Any number of rows by kVectors vectors, the last of them with `last` columns.
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

// The instance for this many columns, likewise.
template <int kVectors>
inline void multiply_columns(const Tile& t, int64_t rows, int64_t columns) {
  if (columns > (kVectors - 1) * kLanes) {
    return multiply_column<kVectors>(t, rows, static_cast<int>(columns) - (kVectors - 1) * kLanes);
  }
  if constexpr (kVectors > 1) multiply_columns<kVectors - 1>(t, rows, columns);
}

}  // namespace

void multiply_panel(const Tile& panel, int64_t rows, int64_t columns) {
  multiply_columns<kTileVectors>(panel, rows, columns);
}

}  // namespace oa::OA_ISA
