// y = x in another type: f32 or bf16 each, rounded to nearest, ties to even, where y is narrower. Any shape.
//
//   y, x  f32 or bf16 [...]  alias nothing
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct CastCall {
  explicit CastCall(const Call& call) : y(call[0].data), x(call[1].data), size(call[0].size()) {}

  void* y;
  const void* x;
  int64_t size;
};

}  // namespace oa::OA_ISA
