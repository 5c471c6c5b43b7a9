// Plain loops over a run of floats, for ops that move and add rows. Included by code compiled per instruction set.
#pragma once

#include <cstddef>
#include <cstdint>

#include "cpu/vec.h"

namespace oa::OA_ISA {

inline void zero_row(float* y, int64_t n) { __builtin_memset(y, 0, static_cast<size_t>(n) * sizeof(float)); }

inline void copy_row(float* y, const float* x, int64_t n) {
  __builtin_memcpy(y, x, static_cast<size_t>(n) * sizeof(float));
}

// y = f(vectors at the same place of the inputs...); y may be one of the inputs. Lanes beyond n read as zero.
template <class F, class... Inputs>
inline void map_row(float* y, int64_t n, const F& f, const Inputs*... inputs) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) store(y + i, f(load(inputs + i)...));
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    store_partial(y + i, f(load_partial(inputs + i, rest)...), rest);
  }
}

// y += x
inline void add_row(float* y, const float* x, int64_t n) {
  map_row(y, n, [](Vec a, Vec b) { return a + b; }, y, x);
}

}  // namespace oa::OA_ISA
