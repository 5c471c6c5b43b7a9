// loss = 1/(B K) Σ max(x, 0) - x y + log(1 + exp(-|x|)), see bce.h; f64 terms through slots (cuda/slots.cuh). Backward:
// a thread owns an element of d_logits, `=`, 0 behind the batch's own sequences. Traffic: 8 and 12 bytes a logit.
#define OA_ISA cuda
#include "ops/bce.h"

#include "cuda/slots.cuh"

namespace oa::cuda {

namespace {

constexpr int kThreads = 128;

struct Terms {
  BceCall b;
  const StepScalars* scalars;
  int64_t classes;  // K

  __device__ __forceinline__ int64_t size() const { return scalars->sequences * classes; }
  __device__ __forceinline__ double operator()(int64_t i) const {
    const double x = b.logits[i], y = b.labels[i];
    return (x > 0 ? x : 0) - x * y + log1p(exp(-fabs(x)));
  }
};

__device__ __forceinline__ double sigmoid_f64(double x) {
  const double e = exp(-fabs(x));
  return (x >= 0 ? 1 : e) / (1 + e);
}

__global__ void bce_backward_kernel(BceCall b, const StepScalars* scalars, int64_t classes) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= b.size) return;
  const int64_t real = scalars->sequences * classes;
  const double d = i < real ? (sigmoid_f64(b.logits[i]) - b.labels[i]) / static_cast<double>(real) : 0;
  b.output[i] = static_cast<float>(d);
}

}  // namespace

int64_t scratch_bce(const Call& call) { return slot_bytes(call[1].size(), kSlotTerms); }

void run_bce(const Call& call) {
  const BceCall b(call);
  const int64_t classes = call[1].shape[1];
  sum_terms(*call.stream, "bce", b.output, call.scratch, b.size, Terms{b, call.scalars, classes},
            MeanOverSequences{call.scalars, static_cast<double>(classes)});
}

int64_t scratch_bce_backward(const Call&) { return 0; }

void run_bce_backward(const Call& call) {
  const BceCall b(call);
  launch(*call.stream, {"bce_backward", dim3(blocks_for(b.size, kThreads)), dim3(kThreads)}, bce_backward_kernel, b,
         call.scalars, call[1].shape[1]);
}

}  // namespace oa::cuda
