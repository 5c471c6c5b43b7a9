#include "ops/attention.h"

#include "cpu/gemm/gemm.h"
#include "cpu/math.h"
#include "cpu/philox.h"
#include "ops/attention_item.h"
#include "ops/check.h"
#include "ops/lanes.h"
#include "ops/scratch.h"

namespace oa::OA_ISA {

namespace {

// Queries that go together: bounds scratch for long sequences, and gives the products rows enough to be quick.
constexpr int64_t kQueryBlock = 64;

// The longest sequence there can be, in whole vectors.
int64_t longest_padded(int64_t tokens, int64_t max_length) {
  return align_floats(max_length > 0 && max_length < tokens ? max_length : tokens);
}

// scores -> exp(scores - largest), times the mask; returns their sum without the mask, `largest` through.
template <bool kDropout>
float exponentiate_row(float* scores, const AttentionItem& item, const DropoutStream& stream, float& largest) {
  const Vec nothing = broadcast(-__builtin_inff());
  Vec most = nothing;
  for (int64_t c = 0; c < item.whole; c += kLanes) most = vmax(most, load(scores + c));
  if (item.whole < item.padded) {
    const Vec last = select(item.exists, load(scores + item.whole), nothing);
    store(scores + item.whole, last);
    most = vmax(most, last);
  }
  largest = reduce_max(most);
  const Vec shift = broadcast(largest);
  Vec sum = {};
  for (int64_t c = 0; c < item.padded; c += kLanes) {
    Vec e = exp(load(scores + c) - shift);
    sum += e;
    if constexpr (kDropout) e *= stream.mask(c);
    store(scores + c, e);
  }
  return reduce_add(sum);
}

void scale_row(float* y, float factor, int64_t n) {
  for_columns(
      n, [&](int64_t c, int lanes) OA_INLINE_BODY { store_lanes(y + c, load_lanes(y + c, lanes) * factor, lanes); });
}

struct ForwardScratch {
  ForwardScratch(const AttentionCall& at, int thread, char* base) {
    const int64_t longest = longest_padded(at.tokens, at.max_length);
    const int64_t width = at.hidden / at.heads;
    Scratch measure(nullptr);
    lay_out(measure, longest, width);
    bytes = measure.bytes();
    if (!base) return;
    Scratch scratch(base + thread * bytes);
    lay_out(scratch, longest, width);
  }

  void lay_out(Scratch& scratch, int64_t longest, int64_t width) {
    keys = scratch.floats(width * longest);
    scores = scratch.floats(kQueryBlock * longest);
  }

  float* keys;    // [D, padded] Kᵀ
  float* scores;  // [query block, padded]
  int64_t bytes;  // of one thread
};

template <bool kDropout>
void forward_item(const AttentionCall& at, const AttentionItem& item, bool more, const ForwardScratch& scratch,
                  const StepScalars& scalars) {
  transpose_head(scratch.keys, at.qkv + item.key, item.stride, item);
  if (more) {
    prefetch_next_head(at.qkv + item.key, item.stride, item);
    prefetch_next_head(at.qkv + item.value, item.stride, item);
    prefetch_next_head(at.qkv + item.query, item.stride, item);
  }
  for (int64_t begin = 0; begin < item.length; begin += kQueryBlock) {
    const int64_t rows = begin + kQueryBlock < item.length ? kQueryBlock : item.length - begin;
    gemm_strided(scratch.scores, item.padded, at.qkv + item.query + begin * item.stride, item.stride, 1, scratch.keys,
                 item.padded, rows, item.padded, item.width, at.scale, false);
    float inverse[kQueryBlock];
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t row = item.start + begin + r;
      const DropoutStream stream(at.dropout, at.rng, scalars, static_cast<uint32_t>(row * at.heads + item.head));
      float largest;
      const float sum = exponentiate_row<kDropout>(scratch.scores + r * item.padded, item, stream, largest);
      inverse[r] = 1.0f / sum;
      if (at.lse) at.lse[item.head * at.tokens + row] = largest + __builtin_logf(sum);
    }
    float* y = at.y + item.output + begin * at.hidden;
    gemm_strided(y, at.hidden, scratch.scores, item.padded, 1, at.qkv + item.value, item.stride, rows, item.width,
                 item.length, 1.0f, false);
    // The division waits until here: D columns instead of as many as there are keys.
    for (int64_t r = 0; r < rows; ++r) scale_row(y + r * at.hidden, inverse[r], item.width);
  }
}

template <bool kDropout>
void forward(const AttentionCall& at, const Call& call) {
  for_each_item(at, *call.pool, [&](const AttentionItem& item, bool more, int thread) {
    forward_item<kDropout>(at, item, more, ForwardScratch(at, thread, call.scratch), *call.scalars);
  });
}

const char* check_attributes(const Call& call, int64_t hidden) {
  const int32_t heads = call.attribute_i32(0);
  if (heads < 1 || hidden % heads != 0) return "heads must divide the columns";
  if (!is_dropout(call.attribute_f32(2))) return "dropout must be at least 0 and less than 1";
  if (call.attribute_i32(4) < 0) return "max_length must not be negative";
  return nullptr;
}

}  // namespace

const char* check_attention(const Call& call) {
  const Operand& y = call[0];
  if (y.rank != 2 || y.shape[1] < 1) return "y must be [T, C]";
  if (const char* wrong = check_attributes(call, y.shape[1])) return wrong;
  if (!absent_or_matrix(call[1], call.attribute_i32(0), y.shape[0])) return "lse must be [H, T]";
  if (!is_matrix(call[2], y.shape[0], 3 * y.shape[1])) return "qkv must be [T, 3 C] with the rows of y";
  if (!is_cumulative(call[3])) return "cu must be [B + 1]";
  return nullptr;
}

int64_t scratch_attention(const Call& call) {
  return ForwardScratch(AttentionCall(call), 0, nullptr).bytes * call.pool->threads();
}

void run_attention(const Call& call) {
  const AttentionCall at(call);
  if (at.dropout > 0.0f) {
    forward<true>(at, call);
  } else {
    forward<false>(at, call);
  }
}

// ---- backward ----

namespace {

struct BackwardScratch {
  BackwardScratch(const AttentionBackwardCall& at, int thread, char* base) {
    const int64_t longest = longest_padded(at.tokens, at.max_length);
    const int64_t width = at.hidden / at.heads;
    Scratch measure(nullptr);
    lay_out(measure, longest, width, at.dropout > 0.0f);
    bytes = measure.bytes();
    if (!base) return;
    Scratch scratch(base + thread * bytes);
    lay_out(scratch, longest, width, at.dropout > 0.0f);
  }

  void lay_out(Scratch& scratch, int64_t longest, int64_t width, bool dropout) {
    keys = scratch.floats(width * longest);
    values = scratch.floats(width * longest);
    probabilities = scratch.floats(kQueryBlock * longest);
    gradients = scratch.floats(kQueryBlock * longest);
    dropped = dropout ? scratch.floats(kQueryBlock * longest) : probabilities;
  }

  float* keys;           // [D, padded] Kᵀ
  float* values;         // [D, padded] Vᵀ
  float* probabilities;  // [query block, padded] S, then P
  float* gradients;      // [query block, padded] dP, then dS
  float* dropped;        // [query block, padded] dropout(P)
  int64_t bytes;         // of one thread
};

// One row: S -> P, dy·Vᵀ -> dS.
template <bool kDropout>
void gradient_row(float* p, float* d, float* dropped, const AttentionItem& item, const DropoutStream& stream,
                  float lse) {
  const Vec shift = broadcast(lse);
  Vec sum = {};
  for (int64_t c = 0; c < item.padded; c += kLanes) {
    Vec probability = exp(load(p + c) - shift);
    if (c == item.whole) probability = select(item.exists, probability, Vec{});
    Vec gradient = load(d + c);
    if constexpr (kDropout) {
      const Vec mask = stream.mask(c);
      gradient *= mask;
      store(dropped + c, probability * mask);
      store(d + c, gradient);
    }
    store(p + c, probability);
    sum = fma(probability, gradient, sum);
  }
  const Vec delta = broadcast(reduce_add(sum));
  for (int64_t c = 0; c < item.padded; c += kLanes) store(d + c, load(p + c) * (load(d + c) - delta));
}

template <bool kDropout>
void backward_item(const AttentionBackwardCall& at, const AttentionItem& item, bool more,
                   const BackwardScratch& scratch, const StepScalars& scalars) {
  const int64_t padded = item.padded;
  transpose_head(scratch.keys, at.qkv + item.key, item.stride, item);
  transpose_head(scratch.values, at.qkv + item.value, item.stride, item);
  if (more) {
    prefetch_next_head(at.qkv + item.key, item.stride, item);
    prefetch_next_head(at.qkv + item.value, item.stride, item);
    prefetch_next_head(at.qkv + item.query, item.stride, item);
    prefetch_next_head(at.dy + item.output, at.hidden, item);
  }
  for (int64_t begin = 0; begin < item.length; begin += kQueryBlock) {
    const int64_t rows = begin + kQueryBlock < item.length ? kQueryBlock : item.length - begin;
    const float* query = at.qkv + item.query + begin * item.stride;
    const float* dy = at.dy + item.output + begin * at.hidden;
    gemm_strided(scratch.probabilities, padded, query, item.stride, 1, scratch.keys, padded, rows, padded, item.width,
                 at.scale, false);
    gemm_strided(scratch.gradients, padded, dy, at.hidden, 1, scratch.values, padded, rows, padded, item.width, 1.0f,
                 false);
    for (int64_t r = 0; r < rows; ++r) {
      const int64_t row = item.start + begin + r;
      const DropoutStream stream(at.dropout, at.rng, scalars, static_cast<uint32_t>(row * at.heads + item.head));
      gradient_row<kDropout>(scratch.probabilities + r * padded, scratch.gradients + r * padded,
                             scratch.dropped + r * padded, item, stream, at.lse[item.head * at.tokens + row]);
    }
    const bool later = begin > 0;  // dK and dV sum over the blocks of queries, in order
    gemm_strided(at.d_qkv + item.query + begin * item.stride, item.stride, scratch.gradients, padded, 1,
                 at.qkv + item.key, item.stride, rows, item.width, item.length, at.scale, false);
    gemm_strided(at.d_qkv + item.key, item.stride, scratch.gradients, 1, padded, query, item.stride, item.length,
                 item.width, rows, at.scale, later);
    gemm_strided(at.d_qkv + item.value, item.stride, scratch.dropped, 1, padded, dy, at.hidden, item.length, item.width,
                 rows, 1.0f, later);
  }
}

template <bool kDropout>
void backward(const AttentionBackwardCall& at, const Call& call) {
  for_each_item(at, *call.pool, [&](const AttentionItem& item, bool more, int thread) {
    backward_item<kDropout>(at, item, more, BackwardScratch(at, thread, call.scratch), *call.scalars);
  });
}

}  // namespace

const char* check_attention_backward(const Call& call) {
  const Operand& dy = call[1];
  if (dy.rank != 2 || dy.shape[1] < 1) return "dy must be [T, C]";
  if (const char* wrong = check_attributes(call, dy.shape[1])) return wrong;
  if (!is_matrix(call[0], dy.shape[0], 3 * dy.shape[1])) return "d_qkv must be [T, 3 C] with the rows of dy";
  if (!is_matrix(call[2], dy.shape[0], 3 * dy.shape[1])) return "qkv must be [T, 3 C] with the rows of dy";
  if (!is_matrix(call[3], call.attribute_i32(0), dy.shape[0])) return "lse must be [H, T]";
  if (!is_cumulative(call[4])) return "cu must be [B + 1]";
  return nullptr;
}

int64_t scratch_attention_backward(const Call& call) {
  return BackwardScratch(AttentionBackwardCall(call), 0, nullptr).bytes * call.pool->threads();
}

void run_attention_backward(const Call& call) {
  const AttentionBackwardCall at(call);
  if (at.dropout > 0.0f) {
    backward<true>(at, call);
  } else {
    backward<false>(at, call);
  }
}

}  // namespace oa::OA_ISA
