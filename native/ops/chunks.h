// How an op's work is cut: into chunks of a fixed size, counted by shape alone, so that neither the number of threads
// nor their timing changes a result. Included by code compiled per instruction set (OA_ISA defined).
#pragma once

#include <cstdint>

#include "ops/call.h"

namespace oa::OA_ISA {

struct ChunkRange {
  int64_t begin = 0;
  int64_t end = 0;
};

// Chunks of `size` items that cover n.
inline int64_t chunk_count(int64_t n, int64_t size) { return (n + size - 1) / size; }

// Items of one chunk; the last may be short.
inline ChunkRange chunk_range(int64_t chunk, int64_t size, int64_t n) {
  const int64_t begin = chunk * size;
  return {begin, begin + size < n ? begin + size : n};
}

// The sequence that holds `token`: the last b with cu[b] <= token, so empty sequences are stepped over. cu[0] = 0.
OA_HOST_DEVICE inline int64_t sequence_of(const int32_t* cu, int64_t sequences, int64_t token) {
  int64_t low = 0;
  int64_t high = sequences - 1;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (cu[middle] <= token) {
      low = middle;
    } else {
      high = middle - 1;
    }
  }
  return low;
}

// A partial sum and how many terms it has: one per chunk, in scratch.
struct LossSlot {
  double sum = 0;
  int64_t counted = 0;
};

// Slots added in index order.
inline LossSlot sum_slots(const LossSlot* slots, int64_t count) {
  LossSlot total;
  for (int64_t i = 0; i < count; ++i) {
    total.sum += slots[i].sum;
    total.counted += slots[i].counted;
  }
  return total;
}

// Bytes rounded up to a cache line, the alignment of scratch and of each part of it.
inline int64_t align_scratch(int64_t bytes) { return (bytes + 63) & ~int64_t{63}; }

}  // namespace oa::OA_ISA
