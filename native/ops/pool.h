// One row for every sequence of a packed batch: its first token's (mode 0, cls) or the mean of its tokens' (mode 1).
//
//   y   f32[B, C]
//   x   f32[T, C]
//   cu  i32[B + 1]  cumulative lengths; cu[0] = 0, cu[B] = T
//
// An empty sequence pools to zeros. Tokens are added in f32 in token order.
//
// Backward writes dx[T, C] whole with `=`: cls gives dy to the first token and zeros to the others, mean gives
// dy / length to every token.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

enum class PoolMode : int32_t { cls = 0, mean = 1 };

struct PoolCall {
  explicit PoolCall(const Call& call)
      : y(call[0].f32()),
        x(call[1].f32()),
        cu(call[2].i32()),
        sequences(call[0].shape[0]),
        columns(call[0].shape[1]),
        mode(static_cast<PoolMode>(call.attribute_i32(0))) {}

  float* y;
  const float* x;
  const int32_t* cu;
  int64_t sequences;  // B
  int64_t columns;    // C
  PoolMode mode;
};

struct PoolBackwardCall {
  explicit PoolBackwardCall(const Call& call)
      : dx(call[0].f32()),
        dy(call[1].f32()),
        cu(call[2].i32()),
        tokens(call[0].shape[0]),
        sequences(call[1].shape[0]),
        columns(call[0].shape[1]),
        mode(static_cast<PoolMode>(call.attribute_i32(0))) {}

  float* dx;
  const float* dy;
  const int32_t* cu;
  int64_t tokens;     // T
  int64_t sequences;  // B
  int64_t columns;    // C
  PoolMode mode;
};

}  // namespace oa::OA_ISA
