// Questions about operands that the check functions ask. Included by code compiled per instruction set.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

inline bool is_vector(const Operand& x, int64_t n) { return x.rank == 1 && x.shape[0] == n; }

inline bool is_matrix(const Operand& x, int64_t rows, int64_t columns) {
  return x.rank == 2 && x.shape[0] == rows && x.shape[1] == columns;
}

inline bool is_scalar(const Operand& x) { return x.size() == 1; }

inline bool same_shape(const Operand& a, const Operand& b) {
  if (a.rank != b.rank) return false;
  for (int32_t i = 0; i < a.rank; ++i) {
    if (a.shape[i] != b.shape[i]) return false;
  }
  return true;
}

// cu i32[B + 1]
inline bool is_cumulative(const Operand& cu) { return cu.rank == 1 && cu.shape[0] >= 1; }

}  // namespace oa::OA_ISA
