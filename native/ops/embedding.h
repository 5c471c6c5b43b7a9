// Embedding lookup: y[t] = word[ids[t]] + position[t - cu[b] + position_offset] + token_type[types[t]], where b is the
// sequence that holds token t (Devlin et al. 2018, figure 2; RoBERTa counts positions from position_offset = 2).
//
//   y           f32[T, C]
//   ids, types  i32[T]      types absent: every token has type 0
//   cu          i32[B + 1]  cumulative lengths; cu[0] = 0, cu[B] = T; empty sequences hold no rows
//   word        f32[V, C]
//   position    f32[P, C]   optional
//   token_type  f32[S, C]   optional
//
// The batch is validated before it gets here: ids in [0, V), types in [0, S), lengths up to P - position_offset.
//
// Backward, every output optional and written whole with `=`:
//   d_word[v]       = sum of dy over the tokens of id v, in token order; rows of absent ids are 0
//   d_position[p]   = sum of dy over the tokens at position p, in sequence order
//   d_token_type[s] = sum of dy over the tokens of type s: partial sums per chunk of tokens, added in chunk order
//
// y may alias nothing. Rows are summed in f32.
#pragma once

#include "ops/call.h"

namespace oa::OA_ISA {

struct EmbeddingCall {
  explicit EmbeddingCall(const Call& call)
      : y(call[0].f32()),
        ids(call[1].i32()),
        types(call[2].i32()),
        cu(call[3].i32()),
        word(call[4].f32()),
        position(call[5].f32()),
        token_type(call[6].f32()),
        tokens(call[0].shape[0]),
        sequences(call[3].shape[0] - 1),
        columns(call[0].shape[1]),
        position_offset(call.attribute_i32(0)) {}

  float* y;
  const int32_t* ids;
  const int32_t* types;
  const int32_t* cu;
  const float* word;
  const float* position;
  const float* token_type;
  int64_t tokens;     // T
  int64_t sequences;  // B
  int64_t columns;    // C
  int64_t position_offset;
};

struct EmbeddingBackwardCall {
  explicit EmbeddingBackwardCall(const Call& call)
      : d_word(call[0].f32()),
        d_position(call[1].f32()),
        d_token_type(call[2].f32()),
        dy(call[3].f32()),
        ids(call[4].i32()),
        types(call[5].i32()),
        cu(call[6].i32()),
        tokens(call[3].shape[0]),
        sequences(call[6].shape[0] - 1),
        columns(call[3].shape[1]),
        words(call[0] ? call[0].shape[0] : 0),
        positions(call[1] ? call[1].shape[0] : 0),
        token_types(call[2] ? call[2].shape[0] : 0),
        position_offset(call.attribute_i32(0)) {}

  float* d_word;
  float* d_position;
  float* d_token_type;
  const float* dy;
  const int32_t* ids;
  const int32_t* types;
  const int32_t* cu;
  int64_t tokens;       // T
  int64_t sequences;    // B
  int64_t columns;      // C
  int64_t words;        // V
  int64_t positions;    // P
  int64_t token_types;  // S
  int64_t position_offset;
};

}  // namespace oa::OA_ISA
