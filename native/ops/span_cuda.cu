// loss = 1/B Σ_b (CE(start_b) + CE(end_b)) / 2, each a softmax over the tokens of its sequence, see span.h. A warp owns
// a sequence and both of its softmaxes, whose logits lie side by side; it leaves its loss in a slot (cuda/slots.cuh).
// Traffic: 8 bytes a token, read twice, the second time from the caches.
//
// Backward: d_logits = (softmax - [t = label]) / (2 B), `=`, a warp for each sequence; rows that belong to none are
// cleared before. Traffic: 24 bytes a token.
#define OA_ISA cuda
#include "ops/span.h"

#include "cuda/slots.cuh"

namespace oa::cuda {

namespace {

constexpr int kThreads = 128;
constexpr int kWarps = kThreads / kWarp;

// A sequence as its warp sees it, start and end side by side.
struct Answer {
  const float2* logits;
  int64_t length;
  int32_t label[2];
  bool counts[2];
  float2 max;
  float2 sum;  // Σ exp(logit - max)
};

__device__ __forceinline__ void reduce(Answer& a) {
  a.max = {-INFINITY, -INFINITY};
  for (int64_t t = lane(); t < a.length; t += kWarp) {
    const float2 x = a.logits[t];
    a.max = {fmaxf(a.max.x, x.x), fmaxf(a.max.y, x.y)};
  }
  a.max = {warp_max(a.max.x), warp_max(a.max.y)};
  a.sum = {0, 0};
  for (int64_t t = lane(); t < a.length; t += kWarp) {
    const float2 x = a.logits[t];
    a.sum = {a.sum.x + expf(x.x - a.max.x), a.sum.y + expf(x.y - a.max.y)};
  }
  a.sum = {warp_sum(a.sum.x), warp_sum(a.sum.y)};
}

__device__ __forceinline__ Answer answer_of(const SpanCall& s, int64_t b) {
  Answer a{};
  a.logits = reinterpret_cast<const float2*>(s.logits) + s.cu[b];
  a.length = s.length(b);
  for (int side = 0; side < 2; ++side) {
    a.label[side] = s.labels[2 * b + side];
    a.counts[side] = s.counts(b, side);
  }
  reduce(a);
  return a;
}

__device__ __forceinline__ double side_loss(float max, float sum, float label) {
  return log(static_cast<double>(sum)) + (static_cast<double>(max) - static_cast<double>(label));
}

__global__ void span_kernel(Slot* slots, SpanCall s) {
  const int64_t b = int64_t{blockIdx.x} * kWarps + warp();
  if (b >= s.sequences) return;
  const Answer a = answer_of(s, b);
  if (lane() != 0) return;
  Slot slot;
  if (a.counts[0]) slot.sum += side_loss(a.max.x, a.sum.x, a.logits[a.label[0]].x);
  if (a.counts[1]) slot.sum += side_loss(a.max.y, a.sum.y, a.logits[a.label[1]].y);
  slots[b] = slot;
}

__global__ void span_backward_kernel(SpanCall s, const StepScalars* scalars) {
  const int64_t b = int64_t{blockIdx.x} * kWarps + warp();
  if (b >= s.sequences) return;
  const Answer a = answer_of(s, b);
  const double share = 1 / (2 * static_cast<double>(scalars->sequences));
  const auto one = static_cast<float>(share);
  const float2 scale{a.counts[0] ? static_cast<float>(share / a.sum.x) : 0.0f,
                     a.counts[1] ? static_cast<float>(share / a.sum.y) : 0.0f};
  float2* const d = reinterpret_cast<float2*>(s.output) + s.cu[b];
  for (int64_t t = lane(); t < a.length; t += kWarp) {
    const float2 x = a.logits[t];
    d[t] = {expf(x.x - a.max.x) * scale.x - (t == a.label[0] ? one : 0.0f),
            expf(x.y - a.max.y) * scale.y - (t == a.label[1] ? one : 0.0f)};
  }
}

}  // namespace

int64_t scratch_span(const Call& call) { return slot_bytes(call[3].shape[0] - 1, 1); }

void run_span(const Call& call) {
  const SpanCall s(call);
  auto* const slots = reinterpret_cast<Slot*>(call.scratch);
  launch(*call.stream, {"span", dim3(blocks_for(s.sequences, kWarps)), dim3(kThreads)}, span_kernel, slots, s);
  finish_slots(*call.stream, "span", s.output, slots, s.sequences, MeanOverSequences{call.scalars, 2});
}

int64_t scratch_span_backward(const Call&) { return 0; }

void run_span_backward(const Call& call) {
  const SpanCall s(call);
  call.stream->fill(s.output, 0, static_cast<size_t>(call[0].size()) * sizeof(float));
  launch(*call.stream, {"span_backward", dim3(blocks_for(s.sequences, kWarps)), dim3(kThreads)}, span_backward_kernel,
         s, call.scalars);
}

}  // namespace oa::cuda
