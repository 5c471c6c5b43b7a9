// AdamW over the flat buffers, see adamw.h: parameters and both moments in place. A block owns 4096 elements, a thread
// every 256th of them, four at a time. Learning rate, step and norm lie in device memory; the factors that all elements
// have in common take two powers in f64, so one thread of a block makes them for the others.
// Traffic: 28 bytes an element.
#define OA_ISA cuda
#include "ops/adamw.h"

#include "cuda/launch.cuh"
#include "cuda/shared.cuh"
#include "cuda/warp.cuh"

namespace oa::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int64_t kElements = 4096;  // of a block: its work hides the powers
constexpr int kTogether = 4;         // elements of a thread in flight

struct AdamwShared {
  SharedArray<AdamwFactors, 1> factors;
};

struct Element {
  float p, m, v, g;
};

__device__ __forceinline__ void update(Element& e, const AdamwFactors& f, bool decays) {
  const float g = e.g * f.clip;
  e.m = fmaf(e.m, f.old1, g * f.new1);
  e.v = fmaf(e.v, f.old2, g * g * f.new2);
  e.p = e.p * (decays ? f.keep : 1.0f) - f.rate1 * e.m / fmaf(sqrtf(e.v), f.root2, f.epsilon);
}

__global__ void adamw_kernel(AdamwCall a, const StepScalars* scalars) {
  if (!isfinite(*a.norm)) return;  // the same for all threads
  AdamwShared& s = shared<AdamwShared>();
  if (threadIdx.x == 0) s.factors[0] = AdamwFactors(a, *scalars);
  sync_block();
  const AdamwFactors f = s.factors[0];
  const int64_t begin = blockIdx.x * kElements;
  const int64_t end = begin + kElements < a.size ? begin + kElements : a.size;
  for (int64_t first = begin + threadIdx.x; first < end; first += kTogether * kThreads) {
    Element e[kTogether];
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      const int64_t i = first + k * kThreads;
      if (i < end) e[k] = {a.parameters[i], a.moment1[i], a.moment2[i], a.gradients[i]};
    }
#pragma unroll
    for (int k = 0; k < kTogether; ++k) {
      const int64_t i = first + k * kThreads;
      if (i >= end) continue;
      update(e[k], f, i < a.decayed);
      a.parameters[i] = e[k].p;
      a.moment1[i] = e[k].m;
      a.moment2[i] = e[k].v;
    }
  }
}

}  // namespace

int64_t scratch_adamw(const Call&) { return 0; }

void run_adamw(const Call& call) {
  const AdamwCall a(call);
  launch(*call.stream, {"adamw", dim3(blocks_for(a.size, kElements)), dim3(kThreads), sizeof(AdamwShared)},
         adamw_kernel, a, call.scalars);
}

}  // namespace oa::cuda
