// Sums of f64 terms in two stages of fixed order, for losses and norms: every block leaves the sum of its terms in a
// slot, one more block adds the slots and makes the result. A pass over a few hundred kilobytes of slots at most.
#pragma once

#include "base/step.h"
#include "cuda/reduce.cuh"

namespace oa::cuda {

// A partial sum and how many terms it has, where that is asked.
struct Slot {
  double sum = 0;
  int64_t counted = 0;
};

constexpr int kSlotThreads = 256;
constexpr int64_t kSlotTerms = 8192;  // of a block of sum_terms

struct SlotShared {
  WarpParts<double> sums;
  WarpParts<int64_t> counts;
};

// Every thread gets the sum over the block.
__device__ __forceinline__ Slot block_total(const Slot& own, SlotShared& parts) {
  Slot total;
  total.sum = block_sum(own.sum, parts.sums);
  total.counted = block_sum(own.counted, parts.counts);
  return total;
}

template <class Terms>
__global__ void sum_terms_kernel(Slot* slots, Terms terms) {
  const int64_t begin = blockIdx.x * kSlotTerms, size = terms.size();
  const int64_t end = begin + kSlotTerms < size ? begin + kSlotTerms : size;
  Slot own;
#pragma unroll 8
  for (int64_t i = begin + threadIdx.x; i < end; i += kSlotThreads) own.sum += terms(i);
  const Slot total = block_total(own, shared<SlotShared>());
  if (threadIdx.x == 0) slots[blockIdx.x] = total;
}

template <class Finish>
__global__ void finish_slots_kernel(float* result, const Slot* slots, int64_t count, Finish finish) {
  Slot own;
#pragma unroll 8
  for (int64_t i = threadIdx.x; i < count; i += kSlotThreads) {
    own.sum += slots[i].sum;
    own.counted += slots[i].counted;
  }
  const Slot total = block_total(own, shared<SlotShared>());
  if (threadIdx.x == 0) *result = finish(total);
}

// The mean over the batch's own sequences, `terms` each; those behind them have added nothing.
struct MeanOverSequences {
  const StepScalars* scalars;
  double terms;

  __device__ __forceinline__ float operator()(const Slot& total) const {
    const double count = terms * scalars->sequences;
    return count > 0 ? static_cast<float>(total.sum / count) : 0.0f;
  }
};

// *result = finish(all slots added)
template <class Finish>
void finish_slots(Stream& stream, const char* name, float* result, const Slot* slots, int64_t count,
                  const Finish& finish) {
  launch(stream, {name, dim3(1), dim3(kSlotThreads), sizeof(SlotShared)}, finish_slots_kernel<Finish>, result, slots,
         count, finish);
}

// Bytes of so many slots, each the sum of up to `terms` of `capacity` terms.
inline int64_t slot_bytes(int64_t capacity, int64_t terms) {
  return int64_t{blocks_for(capacity, terms)} * static_cast<int64_t>(sizeof(Slot));
}

// *result = finish(Σ terms(i) over i < terms.size()); terms.size() is asked on the device and is at most `capacity`.
// `slots` has slot_bytes(capacity, kSlotTerms).
template <class Terms, class Finish>
void sum_terms(Stream& stream, const char* name, float* result, void* slots, int64_t capacity, const Terms& terms,
               const Finish& finish) {
  auto* const partial = static_cast<Slot*>(slots);
  const unsigned blocks = blocks_for(capacity, kSlotTerms);
  launch(stream, {name, dim3(blocks), dim3(kSlotThreads), sizeof(SlotShared)}, sum_terms_kernel<Terms>, partial, terms);
  finish_slots(stream, name, result, partial, blocks, finish);
}

}  // namespace oa::cuda
