// Products with a packed right-hand side: linear layers and their input gradients. Depth is cut the same way for every
// row and each block's sum is added to y in order, so a row's bits depend on neither the other rows nor the chunks.
#include "cpu/gemm/epilogue.h"
#include "cpu/gemm/gemm.h"
#include "cpu/gemm/kernel.h"

namespace oa::OA_ISA {

namespace {

// Depth of a block: kDepth rows of a panel stay in the nearest caches while the rows of x pass.
constexpr int64_t kDepth = 384;
constexpr int64_t kChunkRows = 96;
constexpr int64_t kChunkPanels = 8;
constexpr int64_t kFewestChunks = 16;

struct Product {
  float* y;
  int64_t ldy;
  const float* x;
  int64_t ldx;
  const float* packed;
  int64_t n, k;
  const Epilogue& epilogue;
};

int64_t smaller(int64_t a, int64_t b) { return a < b ? a : b; }
int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Rows [row, row + rows) of one panel's columns.
void multiply_block(const Product& p, int64_t row, int64_t rows, int64_t panel) {
  const int64_t column = panel * kTileColumns, columns = smaller(kTileColumns, p.n - column);
  float* y = p.y + row * p.ldy + column;
  const float* x = p.x + row * p.ldx;
  const float* b = p.packed + column * p.k;
  for (int64_t k = 0; k < p.k; k += kDepth) {
    const int64_t depth = smaller(kDepth, p.k - k);
    const float* rows_of_b = b + k * kTileColumns;
    multiply_panel({y, p.ldy, x + k, p.ldx, 1, rows_of_b, kTileColumns, depth, 1.0f, k > 0}, rows, columns);
  }
  apply_epilogue(p.y, p.ldy, row, rows, column, columns, p.epilogue);
}

}  // namespace

void gemm_packed(ThreadPool& pool, float* y, int64_t ldy, const float* x, int64_t ldx, const float* packed, int64_t m,
                 int64_t n, int64_t k, const Epilogue& epilogue) {
  const Product product{y, ldy, x, ldx, packed, n, k, epilogue};
  const int64_t panels = divide_up(n, kTileColumns), row_chunks = divide_up(m, kChunkRows);
  if (m <= 0) return;
  int64_t width = smaller(panels, kChunkPanels);
  while (width > 1 && row_chunks * divide_up(panels, width) < kFewestChunks) --width;
  pool.parallel_for(row_chunks * divide_up(panels, width), [&](int64_t chunk, int) {
    const int64_t row = chunk % row_chunks * kChunkRows, first = chunk / row_chunks * width;
    const int64_t rows = smaller(kChunkRows, m - row);
    for (int64_t panel = first; panel < smaller(first + width, panels); ++panel) {
      multiply_block(product, row, rows, panel);
    }
  });
}

void gemm_packed_rows(float* y, int64_t ldy, const float* x, int64_t ldx, const float* packed, int64_t m, int64_t n,
                      int64_t k, const Epilogue& epilogue) {
  const Product product{y, ldy, x, ldx, packed, n, k, epilogue};
  for (int64_t panel = 0; panel < divide_up(n, kTileColumns); ++panel) multiply_block(product, 0, m, panel);
}

}  // namespace oa::OA_ISA
