// y[t] = word[ids[t]] + position[t - cu[b] + position_offset] + token_type[types[t]], see embedding.h. A warp owns a
// row of y and writes it with `=`. Rows that belong to no sequence get the sum of the first row of each table that
// they may read: finite, whatever it is.
// Traffic: at most 16 bytes an element; the tables of positions and types stay in L2.
#define OA_ISA cuda
#include "ops/embedding.h"

#include "base/error.h"
#include "cuda/launch.cuh"
#include "cuda/sequences.cuh"
#include "cuda/warp.cuh"

namespace oa::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kRows = kThreads / kWarp;  // of a block

struct Sources {
  const float* word;
  const float* position;    // null: none
  const float* token_type;  // null: none
};

__device__ __forceinline__ Sources sources_of(const EmbeddingCall& e, int64_t t) {
  const bool padding = is_padding(e.cu, e.sequences, t);
  Sources from{e.word + (padding ? 0 : e.ids[t]) * e.columns, nullptr, nullptr};
  if (e.position) {
    const int64_t index = padding ? 0 : t - e.cu[sequence_at(e.cu, e.sequences, t)];
    from.position = e.position + (index + e.position_offset) * e.columns;
  }
  if (e.token_type) from.token_type = e.token_type + (padding || !e.types ? 0 : e.types[t]) * e.columns;
  return from;
}

__global__ void embedding_kernel(EmbeddingCall e) {
  const int64_t t = int64_t{blockIdx.x} * kRows + warp();
  if (t >= e.tokens) return;
  const Sources from = sources_of(e, t);
  float* const y = e.y + t * e.columns;
  for (int64_t c = lane(); c < e.columns; c += kWarp) {
    float sum = from.word[c];
    if (from.position) sum += from.position[c];
    if (from.token_type) sum += from.token_type[c];
    y[c] = sum;
  }
}

}  // namespace

int64_t scratch_embedding(const Call&) { return 0; }

void run_embedding(const Call& call) {
  const EmbeddingCall e(call);
  launch(*call.stream, {"embedding", dim3(blocks_for(e.tokens, kRows)), dim3(kThreads)}, embedding_kernel, e);
}

int64_t scratch_embedding_backward(const Call&) { return 0; }

void run_embedding_backward(const Call&) { throw Error("ERR_DEVICE", "embedding_backward is not written yet"); }

}  // namespace oa::cuda
