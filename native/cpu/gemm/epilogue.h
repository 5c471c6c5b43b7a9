// The epilogue of a product, applied to a tile right after its last sum, while it is in the first-level cache.
#pragma once

#include "cpu/gemm/gemm.h"
#include "cpu/math.h"

namespace oa::OA_ISA {

// True when there is nothing to do after the product.
inline bool is_plain(const Epilogue& e) {
  return !e.bias && e.activation == activation_none && !e.derivative && !e.mul && !e.add;
}

// One vector of y at `offset` from the start of the matrix, `column` from the start of the row.
template <int kActivation, bool kPartial>
OA_INLINE void finish_vector(float* y, int64_t offset, int64_t column, int count, const Epilogue& e) {
  const auto get = [=](const float* p) { return kPartial ? load_partial(p, count) : load(p); };
  const auto put = [=](float* p, Vec v) { kPartial ? store_partial(p, v, count) : store(p, v); };
  Vec u = get(y + offset);
  if (e.bias) u += get(e.bias + column);
  Vec derivative;
  activate<kActivation>(u, u, derivative);
  if (e.derivative) put(e.derivative + offset, derivative);
  if (e.mul) u *= get(e.mul + offset);
  if (e.add) u += get(e.add + offset);
  put(y + offset, u);
}

// Rows [row, row + rows) and columns [column, column + columns) of y.
inline void apply_epilogue(float* y, int64_t ldy, int64_t row, int64_t rows, int64_t column, int64_t columns,
                           const Epilogue& e) {
  if (is_plain(e)) return;
  with_activation(e.activation, [&](auto activation) {
    const int64_t end = column + columns;
    for (int64_t r = row; r < row + rows; ++r) {
      int64_t c = column;
      for (; c + kLanes <= end; c += kLanes) finish_vector<activation.value, false>(y, r * ldy + c, c, kLanes, e);
      if (c < end) finish_vector<activation.value, true>(y, r * ldy + c, c, static_cast<int>(end - c), e);
    }
  });
}

}  // namespace oa::OA_ISA
