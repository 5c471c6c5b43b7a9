// Attention's work: one sequence and head at a time, where its rows lie, and who takes it. Included by code compiled
// per instruction set (OA_ISA defined).
#pragma once

#include <cstdint>

#include "base/thread_pool.h"
#include "cpu/vec.h"

namespace oa::OA_ISA {

// Heads of one short sequence that one thread takes in a row, so that it can fetch the next head's rows while it
// computes: they lie 3·C floats apart, each in a page of its own, where no hardware prefetcher follows. Backward at 32
// tokens and 32 columns on a busy machine took 0.6 of the time; fetching d_qkv for writing as well took some of that
// back. Long sequences hide the latency anyway and are better cut fine.
constexpr int64_t kHeadsTogether = 4;
constexpr int64_t kShortSequence = 128;
constexpr int64_t kItemsEnough = 64;  // with fewer (sequence, head) pairs, threads would go without work

inline int64_t round_to_lanes(int64_t n) { return (n + kLanes - 1) / kLanes * kLanes; }

// One sequence and head. Rows of scores are `padded` long: keys beyond `length` do not exist.
struct AttentionItem {
  template <class AnyCall>
  AttentionItem(const AnyCall& at, int64_t index)
      : head(index % at.heads),
        width(at.hidden / at.heads),
        start(at.cu[index / at.heads]),
        length(at.cu[index / at.heads + 1] - start),
        padded(round_to_lanes(length)),
        stride(3 * at.hidden),
        query(start * stride + head * width),
        key(query + at.hidden),
        value(key + at.hidden),
        output(start * at.hidden + head * width),
        whole(length / kLanes * kLanes) {
    for (int i = 0; i < kLanes; ++i) exists[i] = whole + i < length ? -1 : 0;
  }

  int64_t head;
  int64_t width;  // D
  int64_t start;  // packed row of the first token
  int64_t length;
  int64_t padded;
  int64_t stride;  // from row to row of qkv
  int64_t query;   // offsets of the head's columns in the first row of qkv
  int64_t key;
  int64_t value;
  int64_t output;  // and of y
  int64_t whole;   // keys in whole vectors
  IVec exists;     // lanes of the vector after those that are keys
};

// Calls body(item, more, thread) for every sequence and head; `more`: the same thread takes the next head next. What
// an item computes does not depend on who takes it, or after what.
template <class AnyCall, class F>
inline void for_each_item(const AnyCall& at, ThreadPool& pool, const F& body) {
  const int64_t items = at.sequences * at.heads;
  pool.parallel_for(items, [&](int64_t index, int thread) {
    const AttentionItem first(at, index);
    if (first.length <= 0) return;
    const int64_t together = first.length <= kShortSequence && items >= kItemsEnough ? kHeadsTogether : 1;
    if (first.head % together != 0) return;
    const int64_t heads = first.head + together < at.heads ? together : at.heads - first.head;
    for (int64_t i = 0; i < heads; ++i) body(AttentionItem(at, index + i), i + 1 < heads, thread);
  });
}

// Asks for the rows of the head that follows the one at `from`.
inline void prefetch_next_head(const float* from, int64_t stride, const AttentionItem& item) {
  constexpr int64_t kMostRows = 64;  // more would wait in line
  constexpr int64_t kLineFloats = 16;
  const int64_t rows = item.length < kMostRows ? item.length : kMostRows;
  for (int64_t l = 0; l < rows; ++l) {
    const float* row = from + l * stride + item.width;
    for (int64_t d = 0; d < item.width; d += kLineFloats) __builtin_prefetch(row + d, 0, 2);
  }
}

using Four = float __attribute__((vector_size(16)));
using UnalignedFour = float __attribute__((vector_size(16), aligned(4), may_alias));

OA_INLINE Four load_four(const float* p) { return *reinterpret_cast<const UnalignedFour*>(p); }
OA_INLINE void store_four(float* p, Four v) { *reinterpret_cast<UnalignedFour*>(p) = v; }

// to[d][l] = from[l][d], columns from `length` to `padded` zero: keys become the contiguous side of a product.
inline void transpose_head(float* to, const float* from, int64_t stride, const AttentionItem& item) {
  const int64_t fours = item.length & ~int64_t{3};
  const int64_t wide = item.width & ~int64_t{3};
  for (int64_t l = 0; l < fours; l += 4) {
    const float* row = from + l * stride;
    for (int64_t d = 0; d < wide; d += 4) {
      const Four r0 = load_four(row + d), r1 = load_four(row + stride + d);
      const Four r2 = load_four(row + 2 * stride + d), r3 = load_four(row + 3 * stride + d);
      const Four a = __builtin_shufflevector(r0, r1, 0, 4, 1, 5), b = __builtin_shufflevector(r2, r3, 0, 4, 1, 5);
      const Four c = __builtin_shufflevector(r0, r1, 2, 6, 3, 7), e = __builtin_shufflevector(r2, r3, 2, 6, 3, 7);
      float* out = to + d * item.padded + l;
      store_four(out, __builtin_shufflevector(a, b, 0, 1, 4, 5));
      store_four(out + item.padded, __builtin_shufflevector(a, b, 2, 3, 6, 7));
      store_four(out + 2 * item.padded, __builtin_shufflevector(c, e, 0, 1, 4, 5));
      store_four(out + 3 * item.padded, __builtin_shufflevector(c, e, 2, 3, 6, 7));
    }
    for (int64_t d = wide; d < item.width; ++d) {
      for (int64_t i = 0; i < 4; ++i) to[d * item.padded + l + i] = row[i * stride + d];
    }
  }
  for (int64_t d = 0; d < item.width; ++d) {
    float* out = to + d * item.padded;
    for (int64_t l = fours; l < item.length; ++l) out[l] = from[l * stride + d];
    for (int64_t l = item.length; l < item.padded; ++l) out[l] = 0.0f;
  }
}

}  // namespace oa::OA_ISA
