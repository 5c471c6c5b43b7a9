// loss = 1/n Σ_r (log Σ_k exp(x[r, k]) - x[r, label]), over the n rows whose label is a class, see cross_entropy.h. A
// warp owns a row of logits; a block of eight warps adds the losses of 64 rows, in f64, into a slot (cuda/slots.cuh).
// Traffic: 4 bytes a logit, read twice, the second time from the caches.
//
// Backward: d_logits = (softmax - [k = label]) / n, `=`, a warp for each row; rows that do not count get 0, among them
// those behind the batch's own, whose label is -100. First one block counts n. Traffic: 8 bytes a logit.
#define OA_ISA cuda
#include "ops/cross_entropy.h"

#include "cuda/slots.cuh"

namespace oa::cuda {

namespace {

constexpr int kWarps = kSlotThreads / kWarp;
constexpr int64_t kBlockRows = 64;  // of a slot
constexpr int kCountThreads = 1024;

__device__ __forceinline__ float row_max(const float* x, int64_t n) {
  float max = -INFINITY;
  for (int64_t k = lane(); k < n; k += kWarp) max = fmaxf(max, x[k]);
  return warp_max(max);
}

// Σ exp(x - max)
__device__ __forceinline__ float row_exp_sum(const float* x, float max, int64_t n) {
  float sum = 0;
  for (int64_t k = lane(); k < n; k += kWarp) sum += expf(x[k] - max);
  return warp_sum(sum);
}

__device__ __forceinline__ double row_loss(const CrossEntropyCall& c, int64_t r) {
  const float* const x = c.logits + r * c.classes;
  const float max = row_max(x, c.classes);
  const double sum = row_exp_sum(x, max, c.classes);
  return log(sum) + (static_cast<double>(max) - static_cast<double>(x[c.labels[r]]));
}

__global__ void cross_entropy_kernel(Slot* slots, CrossEntropyCall c) {
  const int64_t begin = blockIdx.x * kBlockRows;
  const int64_t end = begin + kBlockRows < c.rows ? begin + kBlockRows : c.rows;
  Slot own;
  for (int64_t r = begin + warp(); r < end; r += kWarps) {
    if (!c.counts(r)) continue;
    const double loss = row_loss(c, r);
    if (lane() != 0) continue;  // every lane knows the loss, one adds it
    own.sum += loss;
    ++own.counted;
  }
  const Slot total = block_total(own, shared<SlotShared>());
  if (threadIdx.x == 0) slots[blockIdx.x] = total;
}

struct MeanOfCounted {
  __device__ __forceinline__ float operator()(const Slot& total) const {
    return total.counted > 0 ? static_cast<float>(total.sum / static_cast<double>(total.counted)) : 0.0f;
  }
};

struct CountShared {
  WarpParts<int64_t> parts;
};

__global__ void count_rows_kernel(int64_t* counted, CrossEntropyCall c) {
  int64_t own = 0;
#pragma unroll 8
  for (int64_t r = threadIdx.x; r < c.rows; r += kCountThreads) own += c.counts(r) ? 1 : 0;
  const int64_t all = block_sum(own, shared<CountShared>().parts);
  if (threadIdx.x == 0) *counted = all;
}

__global__ void cross_entropy_backward_kernel(CrossEntropyCall c, const int64_t* counted) {
  const int64_t r = int64_t{blockIdx.x} * kWarps + warp();
  if (r >= c.rows) return;
  float* const d = c.output + r * c.classes;
  const int32_t label = c.labels[r];
  if (!c.counts(r)) {
    for (int64_t k = lane(); k < c.classes; k += kWarp) d[k] = 0;
    return;
  }
  const float* const x = c.logits + r * c.classes;
  const float max = row_max(x, c.classes);
  const double n = static_cast<double>(*counted);
  const auto scale = static_cast<float>(1 / (row_exp_sum(x, max, c.classes) * n));
  const auto one = static_cast<float>(1 / n);
  for (int64_t k = lane(); k < c.classes; k += kWarp) d[k] = expf(x[k] - max) * scale - (k == label ? one : 0.0f);
}

}  // namespace

int64_t scratch_cross_entropy(const Call& call) { return slot_bytes(call[1].shape[0], kBlockRows); }

void run_cross_entropy(const Call& call) {
  const CrossEntropyCall c(call);
  auto* const slots = reinterpret_cast<Slot*>(call.scratch);
  const unsigned blocks = blocks_for(c.rows, kBlockRows);
  launch(*call.stream, {"cross_entropy", dim3(blocks), dim3(kSlotThreads), sizeof(SlotShared)}, cross_entropy_kernel,
         slots, c);
  finish_slots(*call.stream, "cross_entropy", c.output, slots, blocks, MeanOfCounted{});
}

int64_t scratch_cross_entropy_backward(const Call&) { return sizeof(int64_t); }

void run_cross_entropy_backward(const Call& call) {
  const CrossEntropyCall c(call);
  auto* const counted = reinterpret_cast<int64_t*>(call.scratch);
  launch(*call.stream, {"cross_entropy_backward", dim3(1), dim3(kCountThreads), sizeof(CountShared)}, count_rows_kernel,
         counted, c);
  launch(*call.stream, {"cross_entropy_backward", dim3(blocks_for(c.rows, kWarps)), dim3(kSlotThreads)},
         cross_entropy_backward_kernel, c, counted);
}

}  // namespace oa::cuda
