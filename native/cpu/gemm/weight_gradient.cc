// dw = dyᵀ·x. Nothing is packed: dy is read down its columns, one broadcast at a time, x along its rows.
#include "cpu/gemm/gemm.h"
#include "cpu/gemm/kernel.h"

namespace oa::OA_ISA {

namespace {

// Tokens taken at a time, so that the rows of x under a tile stay in the first-level cache while dy's columns pass.
constexpr int64_t kTokens = 256;
constexpr int64_t kChunkRows = 48;
constexpr int64_t kChunkColumns = 2 * kTileColumns;

}  // namespace

void gemm_weight_gradient(ThreadPool& pool, float* dw, const float* dy, int64_t ld_dy, const float* x, int64_t ldx,
                          int64_t tokens, int64_t n, int64_t k) {
  const int64_t row_chunks = (n + kChunkRows - 1) / kChunkRows;
  const int64_t column_chunks = (k + kChunkColumns - 1) / kChunkColumns;
  pool.parallel_for(row_chunks * column_chunks, [=](int64_t chunk, int) {
    const int64_t row = chunk % row_chunks * kChunkRows, column = chunk / row_chunks * kChunkColumns;
    const int64_t rows = n - row < kChunkRows ? n - row : kChunkRows;
    const int64_t columns = k - column < kChunkColumns ? k - column : kChunkColumns;
    float* tile = dw + row * k + column;
    int64_t token = 0;
    do {
      const int64_t count = tokens - token < kTokens ? tokens - token : kTokens;
      gemm_strided(tile, k, dy + token * ld_dy + row, 1, ld_dy, x + token * ldx + column, ldx, rows, columns, count,
                   1.0f, token > 0);
      token += kTokens;
    } while (token < tokens);
  });
}

}  // namespace oa::OA_ISA
