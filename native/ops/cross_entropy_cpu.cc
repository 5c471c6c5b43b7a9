#include "ops/cross_entropy.h"

#include <cmath>

#include "cpu/math.h"
#include "ops/chunks.h"
#include "ops/rows.h"
#include "ops/shapes.h"

namespace oa::OA_ISA {

namespace {

constexpr int64_t kRows = 32;

float row_max(const float* x, int64_t n) {
  int64_t i = 0;
  float result = -__builtin_inff();
  if (n >= kLanes) {
    Vec lanes = load(x);
    for (i = kLanes; i + kLanes <= n; i += kLanes) lanes = vmax(lanes, load(x + i));
    result = reduce_max(lanes);
  }
  for (; i < n; ++i) result = x[i] > result ? x[i] : result;
  return result;
}

// Σ exp(x - max). When y is given, y = exp(x - max).
float exp_row(float* y, const float* x, float max, int64_t n) {
  const Vec shift = broadcast(max);
  Vec sum = broadcast(0);
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) {
    const Vec e = exp(load(x + i) - shift);
    if (y) store(y + i, e);
    sum = sum + e;
  }
  if (i < n) {
    const int rest = static_cast<int>(n - i);
    float tail[kLanes] = {};  // lanes beyond the row must not enter the sum
    store_partial(tail, exp(load_partial(x + i, rest) - shift), rest);
    const Vec e = load(tail);
    if (y) store_partial(y + i, e, rest);
    sum = sum + e;
  }
  return reduce_add(sum);
}

int64_t count_rows(const CrossEntropyCall& c) {
  int64_t counted = 0;
  for (int64_t r = 0; r < c.rows; ++r) counted += c.counts(r);
  return counted;
}

const char* check_operands(const Call& call) {
  const Operand& logits = call[1];
  if (logits.rank != 2 || logits.shape[1] < 1) return "logits must be [R, K] with at least one class";
  if (!is_vector(call[2], logits.shape[0])) return "labels must be [R], one for every row of logits";
  return nullptr;
}

}  // namespace

const char* check_cross_entropy(const Call& call) {
  return is_scalar(call[0]) ? check_operands(call) : "loss must be a single number";
}

int64_t scratch_cross_entropy(const Call& call) {
  return chunk_count(call[1].shape[0], kRows) * static_cast<int64_t>(sizeof(LossSlot));
}

void run_cross_entropy(const Call& call) {
  const CrossEntropyCall c(call);
  auto* slots = reinterpret_cast<LossSlot*>(call.scratch);
  const int64_t chunks = chunk_count(c.rows, kRows);
  call.pool->parallel_for(chunks, [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kRows, c.rows);
    LossSlot slot;
    for (int64_t r = range.begin; r < range.end; ++r) {
      if (!c.counts(r)) continue;
      const float* x = c.logits + r * c.classes;
      const float max = row_max(x, c.classes);
      const double sum = exp_row(nullptr, x, max, c.classes);
      slot.sum += ::log(sum) + (static_cast<double>(max) - static_cast<double>(x[c.labels[r]]));
      ++slot.counted;
    }
    slots[chunk] = slot;
  });
  const LossSlot total = sum_slots(slots, chunks);
  *c.output = total.counted > 0 ? static_cast<float>(total.sum / static_cast<double>(total.counted)) : 0.0f;
}

const char* check_cross_entropy_backward(const Call& call) {
  return same_shape(call[0], call[1]) ? check_operands(call) : "d_logits must have the shape of logits";
}

int64_t scratch_cross_entropy_backward(const Call&) { return 0; }

void run_cross_entropy_backward(const Call& call) {
  const CrossEntropyCall c(call);
  const double counted = static_cast<double>(count_rows(c));
  call.pool->parallel_for(chunk_count(c.rows, kRows), [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kRows, c.rows);
    for (int64_t r = range.begin; r < range.end; ++r) {
      float* d = c.output + r * c.classes;
      if (!c.counts(r)) {
        zero_row(d, c.classes);
        continue;
      }
      const float* x = c.logits + r * c.classes;
      const float sum = exp_row(d, x, row_max(x, c.classes), c.classes);
      const Vec scale = broadcast(static_cast<float>(1 / (sum * counted)));
      map_row(d, c.classes, [&](Vec e) { return e * scale; }, d);
      d[c.labels[r]] -= static_cast<float>(1 / counted);
    }
  });
}

}  // namespace oa::OA_ISA
