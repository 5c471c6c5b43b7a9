// Products of matrices that are not packed.
#include "cpu/gemm/gemm.h"
#include "cpu/gemm/kernel.h"

namespace oa::OA_ISA {

void gemm_strided(float* c, int64_t ldc, const float* a, int64_t a_row, int64_t a_k, const float* b, int64_t b_k,
                  int64_t m, int64_t n, int64_t k, float scale, bool accumulate) {
  for (int64_t column = 0; column < n; column += kTileColumns) {
    const int64_t columns = n - column < kTileColumns ? n - column : kTileColumns;
    multiply_panel(Tile{c + column, ldc, a, a_row, a_k, b + column, b_k, k, scale, accumulate}, m, columns);
  }
}

}  // namespace oa::OA_ISA
