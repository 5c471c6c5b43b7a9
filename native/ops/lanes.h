// Loops over the columns of a row in whole vectors and one partial vector. Included by code compiled per instruction
// set (OA_ISA defined).
#pragma once

#include <cstdint>

#include "cpu/vec.h"

// The body of a column loop appears twice (whole vectors, tail); it must be inlined into both, so that the count of
// lanes is a constant in the first and the partial loads vanish.
#define OA_INLINE_BODY __attribute__((always_inline))

namespace oa::OA_ISA {

// Calls body(column, lanes) with lanes == kLanes for every whole vector, then once for what is left.
template <class F>
OA_INLINE void for_columns(int64_t columns, const F& body) {
  int64_t c = 0;
  for (; c + kLanes <= columns; c += kLanes) body(c, kLanes);
  if (c < columns) body(c, static_cast<int>(columns - c));
}

OA_INLINE Vec load_lanes(const float* from, int lanes) {
  return lanes == kLanes ? load(from) : load_partial(from, lanes);
}

OA_INLINE void store_lanes(float* to, Vec v, int lanes) {
  if (lanes == kLanes) {
    store(to, v);
  } else {
    store_partial(to, v, lanes);
  }
}

// v with zeros from lane `lanes` on.
OA_INLINE Vec keep_lanes(Vec v, int lanes) {
  if (lanes == kLanes) return v;
  float all[kLanes];
  store(all, v);
  return load_partial(all, lanes);
}

}  // namespace oa::OA_ISA
