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

// rows >= 0 by columns, 1 <= columns <= kTileColumns: cut into tiles of nearly equal height, so that no tile is left
// with a row or two, for which loading B costs more than multiplying.
void multiply_panel(const Tile& panel, int64_t rows, int64_t columns);

}  // namespace oa::OA_ISA
