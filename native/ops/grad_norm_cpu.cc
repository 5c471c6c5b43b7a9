#include "ops/grad_norm.h"

#include "cpu/vec.h"
#include "ops/chunks.h"
#include "ops/shapes.h"

namespace oa::OA_ISA {

namespace {

constexpr int64_t kElements = 32768;

// Half a vector of floats widens to a whole register of doubles.
constexpr int kHalf = kLanes / 2;
using HalfVec = float __attribute__((vector_size(4 * kHalf)));
using UnalignedHalfVec = float __attribute__((vector_size(4 * kHalf), aligned(4), may_alias));
using DoubleVec = double __attribute__((vector_size(8 * kHalf)));

OA_INLINE DoubleVec widen(const float* p) {
  const HalfVec half = *reinterpret_cast<const UnalignedHalfVec*>(p);
  return __builtin_convertvector(half, DoubleVec);
}

double sum_of_squares(const float* g, int64_t n) {
  DoubleVec sums[4] = {};  // four chains hide the latency of the additions
  int64_t i = 0;
  for (; i + 4 * kHalf <= n; i += 4 * kHalf) {
    for (int j = 0; j < 4; ++j) {
      const DoubleVec d = widen(g + i + j * kHalf);
      sums[j] += d * d;
    }
  }
  const DoubleVec lanes = (sums[0] + sums[1]) + (sums[2] + sums[3]);
  double sum = 0;
  for (int j = 0; j < kHalf; ++j) sum += lanes[j];
  for (; i < n; ++i) sum += static_cast<double>(g[i]) * static_cast<double>(g[i]);
  return sum;
}

}  // namespace

const char* check_grad_norm(const Call& call) {
  if (!is_scalar(call[0])) return "norm must be a single number";
  return nullptr;
}

int64_t scratch_grad_norm(const Call& call) {
  return chunk_count(call[1].size(), kElements) * static_cast<int64_t>(sizeof(double));
}

void run_grad_norm(const Call& call) {
  const GradNormCall g(call);
  auto* slots = reinterpret_cast<double*>(call.scratch);
  const int64_t chunks = chunk_count(g.size, kElements);
  call.pool->parallel_for(chunks, [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kElements, g.size);
    slots[chunk] = sum_of_squares(g.gradients + range.begin, range.end - range.begin);
  });
  double sum = 0;
  for (int64_t i = 0; i < chunks; ++i) sum += slots[i];
  *g.norm = static_cast<float>(__builtin_sqrt(sum));
}

}  // namespace oa::OA_ISA
