// Further questions of the check functions: optional operands and the ranges of attributes. Included by code compiled
// per instruction set.
#pragma once

#include "base/activations.h"
#include "ops/call.h"
#include "ops/shapes.h"

namespace oa::OA_ISA {

inline bool absent_or_vector(const Operand& x, int64_t n) { return !x || is_vector(x, n); }

inline bool absent_or_matrix(const Operand& x, int64_t rows, int64_t columns) {
  return !x || is_matrix(x, rows, columns);
}

inline bool is_activation(int32_t activation) {
#define OA_IS_ACTIVATION(code, name) \
  if (activation == code) return true;
  OA_FOR_EACH_ACTIVATION(OA_IS_ACTIVATION)
#undef OA_IS_ACTIVATION
  return false;
}

// A probability that leaves something: 0 <= p < 1. Written so that NaN is refused.
inline bool is_dropout(float p) { return p >= 0.0f && p < 1.0f; }

inline bool is_epsilon(float epsilon) { return epsilon >= 0.0f && epsilon < 1.0f; }

}  // namespace oa::OA_ISA
