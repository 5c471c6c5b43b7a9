#include "ops/span.h"

#include <cmath>

#include "cpu/math.h"
#include "ops/chunks.h"
#include "ops/rows.h"
#include "ops/shapes.h"

namespace oa::OA_ISA {

namespace {

// Start and end logits alternate in memory, and so they do in vectors: even lanes hold starts, odd ones ends. Both
// softmaxes are then one pass over 2 * length consecutive floats.
struct Pair {
  float side[2];
};

Vec alternate(Pair pair) {
  float lanes[kLanes];
  for (int i = 0; i < kLanes; ++i) lanes[i] = pair.side[i % 2];
  return load(lanes);
}

Pair pair_max(const float* x, int64_t n) {
  Pair result{{-__builtin_inff(), -__builtin_inff()}};
  Vec max = alternate(result);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) max = vmax(max, load(x + i));
  float lanes[kLanes];
  store(lanes, max);
  const auto take = [&](int64_t at, float value) {
    float& side = result.side[at % 2];
    side = value > side ? value : side;
  };
  for (int lane = 0; lane < kLanes; ++lane) take(lane, lanes[lane]);
  for (; i < n; ++i) take(i, x[i]);
  return result;
}

// Σ exp(x - max) of each side. When y is given, y = exp(x - max).
Pair pair_exp(float* y, const float* x, Pair max, int64_t n) {
  const Vec shift = alternate(max);
  Vec sum = broadcast(0);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vec e = exp(load(x + i) - shift);
    if (y) store(y + i, e);
    sum = sum + e;
  }
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    float tail[kLanes] = {};  // lanes beyond the sequence must not enter the sums
    store_partial(tail, exp(load_partial(x + i, rest) - shift), rest);
    const Vec e = load(tail);
    if (y) store_partial(y + i, e, rest);
    sum = sum + e;
  }
  float lanes[kLanes];
  store(lanes, sum);
  Pair result{{0, 0}};
  for (int lane = 0; lane < kLanes; ++lane) result.side[lane % 2] += lanes[lane];
  return result;
}

double sequence_loss(const SpanCall& s, int64_t b) {
  const int64_t length = s.length(b);
  if (length <= 0) return 0;
  const float* x = s.logits + 2 * static_cast<int64_t>(s.cu[b]);
  const Pair max = pair_max(x, 2 * length);
  const Pair sum = pair_exp(nullptr, x, max, 2 * length);
  double loss = 0;
  for (int side = 0; side < 2; ++side) {
    if (!s.counts(b, side)) continue;
    const double label = x[2 * static_cast<int64_t>(s.labels[2 * b + side]) + side];
    loss += ::log(static_cast<double>(sum.side[side])) + (static_cast<double>(max.side[side]) - label);
  }
  return loss;
}

void sequence_gradient(const SpanCall& s, int64_t b) {
  const int64_t length = s.length(b);
  if (length <= 0) return;
  const int64_t offset = 2 * static_cast<int64_t>(s.cu[b]);
  float* d = s.output + offset;
  const Pair sum = pair_exp(d, s.logits + offset, pair_max(s.logits + offset, 2 * length), 2 * length);
  const double share = 1 / (2 * static_cast<double>(s.sequences));
  Pair scale{{0, 0}};
  for (int side = 0; side < 2; ++side) {
    if (s.counts(b, side)) scale.side[side] = static_cast<float>(share / static_cast<double>(sum.side[side]));
  }
  const Vec scales = alternate(scale);
  map_row(d, 2 * length, [&](Vec e) { return e * scales; }, d);
  for (int side = 0; side < 2; ++side) {
    if (s.counts(b, side)) d[2 * static_cast<int64_t>(s.labels[2 * b + side]) + side] -= static_cast<float>(share);
  }
}

const char* check_operands(const Call& call) {
  if (!is_matrix(call[1], call[1].shape[0], 2)) return "logits must be [T, 2]";
  if (!is_cumulative(call[3])) return "cu must be [B + 1]";
  if (call[2].size() != 2 * (call[3].shape[0] - 1)) return "labels must be [B, 2], a start and an end per sequence";
  return nullptr;
}

}  // namespace

const char* check_span(const Call& call) {
  return is_scalar(call[0]) ? check_operands(call) : "loss must be a single number";
}

int64_t scratch_span(const Call& call) { return (call[3].shape[0] - 1) * static_cast<int64_t>(sizeof(LossSlot)); }

void run_span(const Call& call) {
  const SpanCall s(call);
  auto* slots = reinterpret_cast<LossSlot*>(call.scratch);
  call.pool->parallel_for(s.sequences, [&](int64_t b, int) { slots[b] = LossSlot{sequence_loss(s, b), 1}; });
  const double sum = sum_slots(slots, s.sequences).sum;
  *s.output = s.sequences > 0 ? static_cast<float>(sum / (2 * static_cast<double>(s.sequences))) : 0.0f;
}

const char* check_span_backward(const Call& call) {
  return same_shape(call[0], call[1]) ? check_operands(call) : "d_logits must have the shape of logits";
}

int64_t scratch_span_backward(const Call&) { return 0; }

void run_span_backward(const Call& call) {
  const SpanCall s(call);
  call.pool->parallel_for(s.sequences, [&](int64_t b, int) { sequence_gradient(s, b); });
}

}  // namespace oa::OA_ISA
