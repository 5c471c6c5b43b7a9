// loss = 1/B Σ (prediction - label)², see mse.h; f64 terms through slots (cuda/slots.cuh). Backward: a thread owns an
// element of d_prediction, `=`, 0 behind the batch's own sequences. Traffic: 8 and 12 bytes a sequence.
#define OA_ISA cuda
#include "ops/mse.h"

#include "cuda/slots.cuh"

namespace oa::cuda {

namespace {

constexpr int kThreads = 128;

__device__ __forceinline__ double difference(const MseCall& m, int64_t i) {
  return static_cast<double>(m.prediction[i]) - static_cast<double>(m.labels[i]);
}

struct Squares {
  MseCall m;
  const StepScalars* scalars;

  __device__ __forceinline__ int64_t size() const { return scalars->sequences; }
  __device__ __forceinline__ double operator()(int64_t i) const {
    const double d = difference(m, i);
    return d * d;
  }
};

__global__ void mse_backward_kernel(MseCall m, const StepScalars* scalars) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= m.size) return;
  const int64_t real = scalars->sequences;
  m.output[i] = i < real ? static_cast<float>(2 * difference(m, i) / static_cast<double>(real)) : 0.0f;
}

}  // namespace

int64_t scratch_mse(const Call& call) { return slot_bytes(call[1].size(), kSlotTerms); }

void run_mse(const Call& call) {
  const MseCall m(call);
  sum_terms(*call.stream, "mse", m.output, call.scratch, m.size, Squares{m, call.scalars},
            MeanOverSequences{call.scalars, 1});
}

int64_t scratch_mse_backward(const Call&) { return 0; }

void run_mse_backward(const Call& call) {
  const MseCall m(call);
  launch(*call.stream, {"mse_backward", dim3(blocks_for(m.size, kThreads)), dim3(kThreads)}, mse_backward_kernel, m,
         call.scalars);
}

}  // namespace oa::cuda
