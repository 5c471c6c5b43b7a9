// One row for every sequence: its first token's, or the mean of its tokens, see pool.h. A thread owns a column of a row
// of y (mode mean: and adds its tokens in order), and writes it with `=`; sequences without tokens, among them those
// behind the batch's own, get zeros. Traffic: mean reads x once, 4 bytes an element.
//
// Backward: a warp owns a row of dx, written with `=`; rows that belong to no sequence get zeros.
#define OA_ISA cuda
#include "ops/pool.h"

#include "cuda/bf16.cuh"
#include "cuda/launch.cuh"
#include "cuda/warp.cuh"
#include "ops/chunks.h"

namespace oa::cuda {

namespace {

constexpr int kColumns = 128;  // of a block of the forward pass
constexpr int kThreads = 256;
constexpr int kRows = kThreads / kWarp;  // of a block of the backward pass

template <class S>
__global__ void pool_kernel(PoolCall p, int64_t blocks_across) {
  const int64_t b = blockIdx.x / blocks_across;
  const int64_t c = blockIdx.x % blocks_across * kColumns + threadIdx.x;
  if (c >= p.columns) return;
  const int64_t begin = p.cu[b], length = p.cu[b + 1] - begin;
  const S* const x = as<S>(p.x) + begin * p.columns + c;
  float y = length > 0 ? load(x) : 0.0f;
  if (p.mode == PoolMode::mean && length > 0) {
#pragma unroll 8
    for (int64_t t = 1; t < length; ++t) y += load(x + t * p.columns);
    y /= static_cast<float>(length);
  }
  store(as<S>(p.y) + b * p.columns + c, y);
}

template <class S>
__global__ void pool_backward_kernel(PoolBackwardCall p) {
  const int64_t t = int64_t{blockIdx.x} * kRows + warp();
  if (t >= p.tokens) return;
  S* const dx = as<S>(p.dx) + t * p.columns;
  const bool padding = t >= p.cu[p.sequences];
  const int64_t b = padding ? 0 : sequence_of(p.cu, p.sequences, t);
  if (padding || (p.mode == PoolMode::cls && t != p.cu[b])) {
    for (int64_t c = lane(); c < p.columns; c += kWarp) store(dx + c, 0.0f);
    return;
  }
  const float count = p.mode == PoolMode::mean ? static_cast<float>(p.cu[b + 1] - p.cu[b]) : 1.0f;
  const S* const dy = as<S>(p.dy) + b * p.columns;
  for (int64_t c = lane(); c < p.columns; c += kWarp) store(dx + c, load(dy + c) / count);
}

}  // namespace

int64_t scratch_pool(const Call&) { return 0; }

void run_pool(const Call& call) {
  const PoolCall p(call);
  const unsigned across = blocks_for(p.columns, kColumns);
  with_storage(call[0].dtype, [&](auto stored) {
    launch(*call.stream, {"pool", dim3(static_cast<unsigned>(p.sequences) * across), dim3(kColumns)},
           pool_kernel<decltype(stored)>, p, int64_t{across});
  });
}

int64_t scratch_pool_backward(const Call&) { return 0; }

void run_pool_backward(const Call& call) {
  const PoolBackwardCall p(call);
  with_storage(call[0].dtype, [&](auto stored) {
    launch(*call.stream, {"pool_backward", dim3(blocks_for(p.tokens, kRows)), dim3(kThreads)},
           pool_backward_kernel<decltype(stored)>, p);
  });
}

}  // namespace oa::cuda
