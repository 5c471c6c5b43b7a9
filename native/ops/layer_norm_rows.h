// LayerNorm over a few rows at a time, forward and backward: what layer_norm, residual_layer_norm and adapter share.
//
// Four rows go together: their sums are independent chains of additions, and gamma, beta and the running column sums
// are loaded once for all four. Included by code compiled per instruction set (OA_ISA defined).
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/vec.h"
#include "ops/column_sums.h"
#include "ops/lanes.h"
#include "ops/scratch.h"

namespace oa::OA_ISA {

constexpr int kRowsTogether = 4;

struct LayerNormRows {
  float* y;            // [rows, C]; must not overlap what `source` reads, unless at the same element
  float* xhat;         // [rows, C] or null
  float* rstd;         // [rows] or null
  const float* gamma;  // [C]
  const float* beta;   // [C]
  int64_t columns;     // C
  float epsilon;
};

// Rows [row, row + kRows). s = source(row, column, lanes) gives a vector with zeros beyond `lanes`; then
//   mean = Σ s / C;  variance = Σ (s - mean)² / C;  rstd = 1 / sqrt(variance + epsilon)
//   xhat = (s - mean)·rstd;  y = xhat∘gamma + beta           (Ba et al. 2016)
// The variance is a second pass over values that are still in L1: Σ s² - mean² would cancel.
template <int kRows, class Source>
inline void normalize_rows(const LayerNormRows& norm, int64_t row, const Source& source) {
  const int64_t columns = norm.columns;
  const float inverse = 1.0f / static_cast<float>(columns);
  float* y = norm.y + row * columns;

  Vec sum[kRows] = {};
  for_columns(columns, [&](int64_t c, int lanes) OA_INLINE_BODY {
    for (int r = 0; r < kRows; ++r) {
      const Vec s = source(row + r, c, lanes);
      store_lanes(y + r * columns + c, s, lanes);
      sum[r] += s;
    }
  });

  Vec mean[kRows];
  Vec square[kRows] = {};
  for (int r = 0; r < kRows; ++r) mean[r] = broadcast(reduce_add(sum[r]) * inverse);
  for_columns(columns, [&](int64_t c, int lanes) OA_INLINE_BODY {
    for (int r = 0; r < kRows; ++r) {
      const Vec centred = keep_lanes(load_lanes(y + r * columns + c, lanes) - mean[r], lanes);
      square[r] = fma(centred, centred, square[r]);
    }
  });

  Vec rstd[kRows];
  for (int r = 0; r < kRows; ++r) {
    const float value = 1.0f / __builtin_sqrtf(reduce_add(square[r]) * inverse + norm.epsilon);
    if (norm.rstd) norm.rstd[row + r] = value;
    rstd[r] = broadcast(value);
  }
  float* xhat = norm.xhat ? norm.xhat + row * columns : nullptr;
  for_columns(columns, [&](int64_t c, int lanes) OA_INLINE_BODY {
    const Vec gamma = load_lanes(norm.gamma + c, lanes);
    const Vec beta = load_lanes(norm.beta + c, lanes);
    for (int r = 0; r < kRows; ++r) {
      const Vec value = (load_lanes(y + r * columns + c, lanes) - mean[r]) * rstd[r];
      if (xhat) store_lanes(xhat + r * columns + c, value, lanes);
      store_lanes(y + r * columns + c, fma(value, gamma, beta), lanes);
    }
  });
}

// Rows [begin, end).
template <class Source>
inline void normalize_block(const LayerNormRows& norm, int64_t begin, int64_t end, const Source& source) {
  int64_t row = begin;
  for (; row + kRowsTogether <= end; row += kRowsTogether) normalize_rows<kRowsTogether>(norm, row, source);
  for (; row < end; ++row) normalize_rows<1>(norm, row, source);
}

struct LayerNormGradientRows {
  const float* dy;     // [rows, C]
  const float* xhat;   // [rows, C]
  const float* rstd;   // [rows]
  const float* gamma;  // [C]
  float* sums;         // sums[C] += Σ dy∘xhat, sums[sums_stride + C] += Σ dy; or null
  int64_t sums_stride;
  bool input_gradient;  // whether `sink` wants ds
  int64_t columns;      // C
};

// Rows [row, row + kRows), with g = dy∘gamma:
//   ds = rstd·(g - mean(g) - xhat·mean(g∘xhat)), handed over as sink(row, column, lanes, ds)
template <int kRows, class Sink>
inline void layer_norm_gradient_rows(const LayerNormGradientRows& norm, int64_t row, const Sink& sink) {
  const int64_t columns = norm.columns;
  const float inverse = 1.0f / static_cast<float>(columns);
  const float* dy = norm.dy + row * columns;
  const float* xhat = norm.xhat + row * columns;

  Vec sum[kRows] = {};
  Vec product[kRows] = {};
  for_columns(columns, [&](int64_t c, int lanes) OA_INLINE_BODY {
    const Vec gamma = load_lanes(norm.gamma + c, lanes);
    Vec d_gamma = {};
    Vec d_beta = {};
    for (int r = 0; r < kRows; ++r) {
      const Vec d = load_lanes(dy + r * columns + c, lanes);
      const Vec x = load_lanes(xhat + r * columns + c, lanes);
      const Vec g = d * gamma;
      sum[r] += g;
      product[r] = fma(g, x, product[r]);
      d_gamma = fma(d, x, d_gamma);
      d_beta += d;
    }
    if (norm.sums) {
      float* gamma_sum = norm.sums + c;
      float* beta_sum = norm.sums + norm.sums_stride + c;
      store_lanes(gamma_sum, load_lanes(gamma_sum, lanes) + d_gamma, lanes);
      store_lanes(beta_sum, load_lanes(beta_sum, lanes) + d_beta, lanes);
    }
  });
  if (!norm.input_gradient) return;

  Vec mean[kRows];
  Vec slope[kRows];
  Vec rstd[kRows];
  for (int r = 0; r < kRows; ++r) {
    mean[r] = broadcast(reduce_add(sum[r]) * inverse);
    slope[r] = broadcast(reduce_add(product[r]) * inverse);
    rstd[r] = broadcast(norm.rstd[row + r]);
  }
  for_columns(columns, [&](int64_t c, int lanes) OA_INLINE_BODY {
    const Vec gamma = load_lanes(norm.gamma + c, lanes);
    for (int r = 0; r < kRows; ++r) {
      const Vec g = load_lanes(dy + r * columns + c, lanes) * gamma;
      const Vec x = load_lanes(xhat + r * columns + c, lanes);
      sink(row + r, c, lanes, rstd[r] * (g - mean[r] - x * slope[r]));
    }
  });
}

// Rows [begin, end).
template <class Sink>
inline void layer_norm_gradient_block(const LayerNormGradientRows& norm, int64_t begin, int64_t end, const Sink& sink) {
  int64_t row = begin;
  for (; row + kRowsTogether <= end; row += kRowsTogether) layer_norm_gradient_rows<kRowsTogether>(norm, row, sink);
  for (; row < end; ++row) layer_norm_gradient_rows<1>(norm, row, sink);
}

// Slots for the partial sums of d_gamma and d_beta, one per chunk of rows (see column_sums.h). Empty when neither is
// asked for.
struct AffineSlots {
  AffineSlots(bool wanted, int64_t rows, int64_t columns, char* base)
      : width(align_floats(columns)), columns(columns), count(chunk_count(rows, chunk_rows(rows))) {
    if (!wanted) return;
    Scratch scratch(base);
    slots = scratch.floats(slot_count(rows) * 2 * width);
    bytes = scratch.bytes();
  }

  // A chunk's slot, set to zero: d_gamma, then d_beta `width` floats further; null when not asked for.
  float* cleared(int64_t chunk) const {
    if (!slots) return nullptr;
    float* slot = slots + chunk * 2 * width;
    __builtin_memset(slot, 0, static_cast<size_t>(2 * width) * sizeof(float));
    return slot;
  }

  // Writes the sums over all chunks; either output may be null.
  void add(ThreadPool& pool, float* d_gamma, float* d_beta) const {
    if (d_gamma) add_slots(pool, d_gamma, slots, 2 * width, count, columns);
    if (d_beta) add_slots(pool, d_beta, slots + width, 2 * width, count, columns);
  }

  float* slots = nullptr;
  int64_t width;
  int64_t columns;
  int64_t count;
  int64_t bytes = 0;
};

}  // namespace oa::OA_ISA
