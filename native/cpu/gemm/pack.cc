// Packing B[K, N] into panels: panel p holds columns [p·NR, (p + 1)·NR) with its K rows one after the other, so the
// kernel streams one pointer. Columns beyond N are zeros.
#include "cpu/gemm/gemm.h"
#include "cpu/gemm/kernel.h"

namespace oa::OA_ISA {

namespace {

int64_t panels_of(int64_t n) { return (n + kTileColumns - 1) / kTileColumns; }

void pack_panel(float* panel, const float* source, int64_t columns, int64_t k, int64_t stride_n, int64_t stride_k) {
  for (int64_t i = 0; i < k; ++i) {
    for (int64_t j = 0; j < kTileColumns; ++j) {
      panel[i * kTileColumns + j] = j < columns ? source[j * stride_n + i * stride_k] : 0.0f;
    }
  }
}

}  // namespace

int64_t packed_floats(int64_t n, int64_t k) { return panels_of(n) * kTileColumns * k; }

void pack(ThreadPool* pool, float* packed, const float* source, int64_t n, int64_t k, int64_t stride_n,
          int64_t stride_k) {
  const auto pack_one = [=](int64_t panel, int) {
    const int64_t column = panel * kTileColumns;
    const int64_t columns = n - column < kTileColumns ? n - column : kTileColumns;
    pack_panel(packed + column * k, source + column * stride_n, columns, k, stride_n, stride_k);
  };
  if (pool) return pool->parallel_for(panels_of(n), pack_one);
  for (int64_t panel = 0; panel < panels_of(n); ++panel) pack_one(panel, 0);
}

}  // namespace oa::OA_ISA
