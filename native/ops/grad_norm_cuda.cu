// norm = sqrt(Σ g²), see grad_norm.h: f64 squares through slots (cuda/slots.cuh). Traffic: 4 bytes an element, which is
// all that counts; the f64 rate of a GPU without f64 units, 2 of 128 lanes, still keeps up with its memory.
#define OA_ISA cuda
#include "ops/grad_norm.h"

#include "cuda/slots.cuh"

namespace oa::cuda {

namespace {

struct Squares {
  const float* gradients;
  int64_t count;

  __device__ __forceinline__ int64_t size() const { return count; }
  __device__ __forceinline__ double operator()(int64_t i) const {
    const double g = gradients[i];
    return g * g;
  }
};

struct Root {
  __device__ __forceinline__ float operator()(const Slot& total) const { return static_cast<float>(sqrt(total.sum)); }
};

}  // namespace

int64_t scratch_grad_norm(const Call& call) { return slot_bytes(call[1].size(), kSlotTerms); }

void run_grad_norm(const Call& call) {
  const GradNormCall g(call);
  sum_terms(*call.stream, "grad_norm", g.norm, call.scratch, g.size, Squares{g.gradients, g.size}, Root{});
}

}  // namespace oa::cuda
