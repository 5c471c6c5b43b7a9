// Sums over rows with the same bits on any number of threads: rows are cut into chunks by their count alone, every
// chunk writes its partial sums to a slot of its own, and slots are added in index order. Included by code compiled
// per instruction set (OA_ISA defined).
#pragma once

#include <cstdint>

#include "base/thread_pool.h"
#include "ops/chunks.h"
#include "ops/lanes.h"

namespace oa::OA_ISA {

constexpr int64_t kLeastChunkRows = 32;  // rows of 384 floats: a chunk's operands stay inside L2
constexpr int64_t kMostChunks = 128;     // bounds the slots, and still feeds many threads

// Rows of one chunk.
inline int64_t chunk_rows(int64_t rows) {
  const int64_t even = chunk_count(rows, kMostChunks);
  return even <= kLeastChunkRows ? kLeastChunkRows : (even + 3) & ~int64_t{3};
}

// An upper bound of chunk_count(rows, chunk_rows(rows)) that never falls as rows grow.
inline int64_t slot_count(int64_t rows) {
  const int64_t count = chunk_count(rows, kLeastChunkRows);
  return count < kMostChunks ? count : kMostChunks;
}

// sums[n] = (accumulate ? sums[n] : 0) + Σ over `rows` rows of x[rows, n].
inline void sum_rows_to(float* sums, const float* x, int64_t ldx, int64_t rows, int64_t n, bool accumulate) {
  int64_t start = 0;
  // Four vectors wide, so that four additions are in flight.
  for (; start + 4 * kLanes <= n; start += 4 * kLanes) {
    Vec sum[4] = {};
    if (accumulate) {
      for (int i = 0; i < 4; ++i) sum[i] = load(sums + start + i * kLanes);
    }
    for (int64_t r = 0; r < rows; ++r) {
      for (int i = 0; i < 4; ++i) sum[i] += load(x + r * ldx + start + i * kLanes);
    }
    for (int i = 0; i < 4; ++i) store(sums + start + i * kLanes, sum[i]);
  }
  for_columns(n - start, [&](int64_t c, int lanes) OA_INLINE_BODY {
    float* to = sums + start + c;
    Vec sum = accumulate ? load_lanes(to, lanes) : Vec{};
    for (int64_t r = 0; r < rows; ++r) sum += load_lanes(x + r * ldx + start + c, lanes);
    store_lanes(to, sum, lanes);
  });
}

// sums[n] = Σ slots[i * stride + n] in the order of i; zeros without slots.
inline void add_slots(ThreadPool& pool, float* sums, const float* slots, int64_t stride, int64_t count, int64_t n) {
  constexpr int64_t kStripe = 512;
  pool.parallel_for(chunk_count(n, kStripe), [&](int64_t chunk, int) {
    const ChunkRange columns = chunk_range(chunk, kStripe, n);
    sum_rows_to(sums + columns.begin, slots + columns.begin, stride, count, columns.end - columns.begin, false);
  });
}

}  // namespace oa::OA_ISA
