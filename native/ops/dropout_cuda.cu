// y = x ∘ mask / (1 - p), see dropout.h. A thread owns four elements, what one Philox block makes masks for; `=`, y may
// be x. Traffic: 8 bytes an element, 4 in bf16.
#define OA_ISA cuda
#include "ops/dropout.h"

#include "cuda/bf16.cuh"
#include "cuda/launch.cuh"
#include "cuda/philox.cuh"

namespace oa::cuda {

namespace {

constexpr int kThreads = 256;

template <class S>
__global__ void dropout_kernel(DropoutCall d, const StepScalars* scalars) {
  const int64_t first = 4 * (int64_t{blockIdx.x} * kThreads + threadIdx.x);
  if (first >= d.size) return;
  const DropoutMask dropout(d.dropout, d.rng, scalars);
  const float4 mask = dropout.four(static_cast<unsigned>(first / 4), 0);
  if (first + 4 <= d.size) {  // activations are aligned to 64 bytes
    const float4 x = load_four(as<S>(d.x) + first);
    store_four(as<S>(d.y) + first, {x.x * mask.x, x.y * mask.y, x.z * mask.z, x.w * mask.w});
    return;
  }
  const float factors[3] = {mask.x, mask.y, mask.z};
#pragma unroll
  for (int i = 0; i < 3; ++i) {
    if (first + i < d.size) store(as<S>(d.y) + first + i, load(as<S>(d.x) + first + i) * factors[i]);
  }
}

}  // namespace

int64_t scratch_dropout(const Call&) { return 0; }

void run_dropout(const Call& call) {
  const DropoutCall d(call);
  if (d.dropout == 0) {
    if (d.y != d.x) call.stream->copy(d.y, d.x, static_cast<size_t>(d.size * dtype_bytes(call[0].dtype)));
    return;
  }
  with_storage(call[0].dtype, [&](auto stored) {
    launch(*call.stream, {"dropout", dim3(blocks_for(d.size, 4 * kThreads)), dim3(kThreads)},
           dropout_kernel<decltype(stored)>, d, call.scalars);
  });
}

}  // namespace oa::cuda
