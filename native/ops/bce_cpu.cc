#include "ops/bce.h"

#include <cmath>

#include "ops/chunks.h"
#include "ops/shapes.h"

namespace oa::OA_ISA {

namespace {

// The logits of a batch are a few thousand numbers, so f64 and the exact functions of libm cost nothing that shows.
constexpr int64_t kElements = 512;

double element_loss(double x, double y) { return (x > 0 ? x : 0) - x * y + ::log1p(::exp(-::fabs(x))); }

double sigmoid_f64(double x) {
  const double e = ::exp(-::fabs(x));
  return (x >= 0 ? 1 : e) / (1 + e);
}

const char* check_operands(const Call& call) {
  if (call[1].rank != 2) return "logits must be [B, K]";
  if (call[2].size() != call[1].size()) return "labels must be [B, K], one for every logit";
  return nullptr;
}

}  // namespace

const char* check_bce(const Call& call) {
  return is_scalar(call[0]) ? check_operands(call) : "loss must be a single number";
}

int64_t scratch_bce(const Call& call) {
  return chunk_count(call[1].size(), kElements) * static_cast<int64_t>(sizeof(LossSlot));
}

void run_bce(const Call& call) {
  const BceCall b(call);
  auto* slots = reinterpret_cast<LossSlot*>(call.scratch);
  const int64_t chunks = chunk_count(b.size, kElements);
  call.pool->parallel_for(chunks, [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kElements, b.size);
    LossSlot slot;
    for (int64_t i = range.begin; i < range.end; ++i) slot.sum += element_loss(b.logits[i], b.labels[i]);
    slots[chunk] = slot;
  });
  const double sum = sum_slots(slots, chunks).sum;
  *b.output = b.size > 0 ? static_cast<float>(sum / static_cast<double>(b.size)) : 0.0f;
}

const char* check_bce_backward(const Call& call) {
  return same_shape(call[0], call[1]) ? check_operands(call) : "d_logits must have the shape of logits";
}

int64_t scratch_bce_backward(const Call&) { return 0; }

void run_bce_backward(const Call& call) {
  const BceCall b(call);
  call.pool->parallel_for(chunk_count(b.size, kElements), [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kElements, b.size);
    for (int64_t i = range.begin; i < range.end; ++i) {
      const double difference = sigmoid_f64(b.logits[i]) - static_cast<double>(b.labels[i]);
      b.output[i] = static_cast<float>(difference / static_cast<double>(b.size));
    }
  });
}

}  // namespace oa::OA_ISA
