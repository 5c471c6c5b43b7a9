// Self-attention of a GPU, in f32, of matrices that are f32 or bf16 in memory: S = scale·Q·Kᵀ, P = softmax(S), y =
// dropout(P)·V, one (sequence, head) at a time over packed rows (attention.h has the whole contract). Online softmax
// over tiles of keys, probabilities made again from lse by backward: Dao et al. 2022, "FlashAttention", algorithms 1
// and 4.
//
// Tiles. A block owns kTile rows of one sequence and one head, and streams the other side of S past them, kStreamed
// rows at a time. The grid is (slots, H): sequence b takes the slots from cu[b] / kTile + b on. floor(x) + ceil(y) <=
// floor(x + y) + 1, so the next sequence never starts before this one ends, whatever the lengths are, and
// T / kTile + B + 1 slots are always enough: the grid is a function of the shapes alone, as a captured graph needs.
// Slots in between are surplus; their blocks leave at once. Rows that no sequence holds (t >= cu[B]) are the tiles of a
// last sequence, number B, and get zeros. map_tiles_kernel works this out once per call, a thread a slot.
//
// Threads. kDown x kAcross threads; each owns kOwn rows of the tile and, of S, kOwn consecutive rows of the other side:
// a register block of kOwn x kOwn products per pair of loads, and one Philox block of four where there is dropout. The
// kAcross threads of a row lie in one warp, so sums over a row are shuffles, and P goes from the layout of S to that of
// the second product through shared memory that no other warp touches.
//
// Backward is two kernels, each of which writes what it owns with `=`, so that nothing is added atomically:
//   queries: delta = Σ over keys of P∘dP, then dQ = scale·Σ P∘(dP - delta)·K. Two passes over the keys. The second
//            begins with the tile that the first ended with, which is still there: up to kStreamed keys are one pass.
//   keys:    dV = Σ over queries of dropout(P)ᵀ·dy, dK = scale·Σ dSᵀ·Q, with delta from the other kernel.
//
// Traffic in bytes, of a sequence of n rows, per head of D columns: forward reads 4·D·(n + 2·n·n / kTile) and writes
// 4·D·n; queries read 4·D·(2·n + 4·n·n / kTile), keys 4·D·(2·n + 2·n·n / kTile): what is read more than once comes from
// L2. In bf16 it is half. Nothing of size n² exists.
#define OA_ISA cuda
#include "ops/attention.h"

#include <string>
#include <type_traits>

#include "base/error.h"
#include "ops/attention_tiles.cuh"
#include "ops/scratch.h"

namespace oa::cuda {
namespace {

// ---- forward ----

template <int kWidth>
struct ForwardShared {
  Rows<kWidth, kTile> queries;
  Rows<kWidth, kStreamed> keys;
  Rows<kWidth, kStreamed> values;
  Weights weights;
};

// The running softmax of a thread's rows; the threads of a row hold the same `most`, and each its part of `sum`.
struct Softmax {
  float most[kOwn], sum[kOwn];

  __device__ __forceinline__ Softmax() {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) most[i] = -__builtin_inff(), sum[i] = 0;
  }

  // s: scores, becomes exp(s - most), 0 where there is no key; factors: what older terms are to be multiplied by.
  __device__ __forceinline__ void step(float (&s)[kOwn][kOwn], float (&factors)[kOwn], float scale, int keys) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      float largest = most[i];
#pragma unroll
      for (int j = 0; j < kOwn; ++j) {
        s[i][j] *= scale;
        if (j < keys) largest = fmaxf(largest, s[i][j]);
      }
      largest = row_max(largest);
      factors[i] = expf(most[i] - largest);
      most[i] = largest;
      float added = 0;
#pragma unroll
      for (int j = 0; j < kOwn; ++j) {
        s[i][j] = j < keys ? expf(s[i][j] - largest) : 0.0f;
        added += s[i][j];
      }
      sum[i] = fmaf(sum[i], factors[i], added);
    }
  }
};

template <int kWidth, class S>
__global__ void __launch_bounds__(kThreads)
    attention_kernel(AttentionCall at, const Tile* tiles, const StepScalars* scalars) {
  const Place place(tiles[blockIdx.x], at.heads);
  const Tile& tile = place.tile;
  if (tile.rows == 0) return;
  const int width = static_cast<int>(at.hidden / at.heads);
  const int64_t stride = 3 * at.hidden, offset = int64_t{place.head} * width;
  S* const y = as<S>(at.y) + tile.row * at.hidden + offset;
  float* const lse = at.lse ? at.lse + place.head * at.tokens + tile.row : nullptr;
  if (tile.length == 0) {
    clear_rows(y, at.hidden, tile.rows, width);
    if (lse) clear_rows(lse, 1, tile.rows, 1);
    return;
  }
  auto& memory = shared<ForwardShared<kWidth>>();
  load_rows<false>(memory.queries, as<S>(at.qkv) + tile.row * stride + offset, stride, tile.rows, width);
  const DropoutMask dropout(at.dropout, at.rng, scalars);
  Softmax softmax;
  Sums<kWidth> sums;
  for (int begin = 0; begin < tile.length; begin += kStreamed) {
    const int count = place.streamed(begin);
    const S* const keys = as<S>(at.qkv) + (tile.start + begin) * stride + at.hidden + offset;
    if (begin > 0) sync_block();
    load_rows<true>(memory.keys, keys, stride, count, width);
    load_rows<true>(memory.values, keys + at.hidden, stride, count, width);
    sync_block();
    float s[kOwn][kOwn], factors[kOwn];
    multiply_rows(s, memory.queries, memory.keys, place, count);
    softmax.step(s, factors, at.scale, count - kOwn * place.across);
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      float4 p = {s[i][0], s[i][1], s[i][2], s[i][3]};
      if (at.dropout > 0.0f) {
        const float4 mask = dropout.four(static_cast<unsigned>(begin / 4 + place.across),
                                         place.dropout_stream(tile.row + place.own + i));
        p = {p.x * mask.x, p.y * mask.y, p.z * mask.z, p.w * mask.w};
      }
      memory.weights[(place.own + i) * kWeightStride + place.across] = p;
    }
    sync_warp();
    sums.scale(factors, place.across);
    sums.add_product(memory.weights, memory.values, place, count);
  }
  float inverse[kOwn];
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    const float sum = row_sum(softmax.sum[i]);
    inverse[i] = 1.0f / sum;
    if (lse && place.across == 0 && place.own + i < tile.rows) lse[place.own + i] = softmax.most[i] + logf(sum);
  }
  sums.scale(inverse, place.across);
  sums.write(y, at.hidden, place, width);
}

// ---- backward ----

template <int kWidth>
struct QueriesShared {
  Rows<kWidth, kTile> queries, dy;
  Rows<kWidth, kStreamed> keys, values;
  Weights weights;
};

// p = P and d = dP of a thread's rows and the keys from `begin` on; 0 where there is no key.
template <int kWidth>
__device__ __forceinline__ void query_gradients(float (&p)[kOwn][kOwn], float (&d)[kOwn][kOwn],
                                                const QueriesShared<kWidth>& memory, const Place& place,
                                                const AttentionBackwardCall& at, const DropoutMask& dropout,
                                                const float (&lse)[kOwn], int begin) {
  const int count = place.streamed(begin), keys = count - kOwn * place.across;
  multiply_rows(p, memory.queries, memory.keys, place, count);
  multiply_rows(d, memory.dy, memory.values, place, count);
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    float4 mask = {1, 1, 1, 1};
    if (at.dropout > 0.0f) {
      mask = dropout.four(static_cast<unsigned>(begin / 4 + place.across),
                          place.dropout_stream(place.tile.row + place.own + i));
    }
#pragma unroll
    for (int j = 0; j < kOwn; ++j) {
      p[i][j] = j < keys ? expf(p[i][j] * at.scale - lse[i]) : 0.0f;
      d[i][j] *= part(mask, j);
    }
  }
}

template <int kWidth, class S>
__global__ void __launch_bounds__(kThreads)
    attention_queries_kernel(AttentionBackwardCall at, float* deltas, const Tile* tiles, const StepScalars* scalars) {
  const Place place(tiles[blockIdx.x], at.heads);
  const Tile& tile = place.tile;
  if (tile.rows == 0) return;
  const int width = static_cast<int>(at.hidden / at.heads);
  const int64_t stride = 3 * at.hidden, offset = int64_t{place.head} * width;
  S* const d_queries = as<S>(at.d_qkv) + tile.row * stride + offset;
  if (tile.length == 0) {
    clear_rows(d_queries, stride, tile.rows, width);
    return;
  }
  auto& memory = shared<QueriesShared<kWidth>>();
  load_rows<false>(memory.queries, as<S>(at.qkv) + tile.row * stride + offset, stride, tile.rows, width);
  load_rows<false>(memory.dy, as<S>(at.dy) + tile.row * at.hidden + offset, at.hidden, tile.rows, width);
  const DropoutMask dropout(at.dropout, at.rng, scalars);
  const int64_t first = place.head * at.tokens + tile.row + place.own;  // in lse and deltas
  float lse[kOwn], delta[kOwn], p[kOwn][kOwn], d[kOwn][kOwn];
#pragma unroll
  for (int i = 0; i < kOwn; ++i) lse[i] = place.own + i < tile.rows ? at.lse[first + i] : 0.0f, delta[i] = 0;
  Sums<kWidth> sums;
  const int tiles_of_keys = (tile.length + kStreamed - 1) / kStreamed;
  for (int step = 0; step < 2 * tiles_of_keys; ++step) {  // up for delta, then down for dQ
    const bool up = step < tiles_of_keys;
    const int begin = kStreamed * (up ? step : 2 * tiles_of_keys - 1 - step);
    if (step != tiles_of_keys) {
      const S* const keys = as<S>(at.qkv) + (tile.start + begin) * stride + at.hidden + offset;
      if (step > 0) sync_block();
      load_rows<true>(memory.keys, keys, stride, place.streamed(begin), width);
      load_rows<true>(memory.values, keys + at.hidden, stride, place.streamed(begin), width);
      sync_block();
      query_gradients(p, d, memory, place, at, dropout, lse, begin);
    }
    if (up) {
#pragma unroll
      for (int i = 0; i < kOwn; ++i) {
#pragma unroll
        for (int j = 0; j < kOwn; ++j) delta[i] = fmaf(p[i][j], d[i][j], delta[i]);
        if (step + 1 == tiles_of_keys) delta[i] = row_sum(delta[i]);
      }
      continue;
    }
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const auto ds = [&](int j) { return p[i][j] * (d[i][j] - delta[i]) * at.scale; };
      memory.weights[(place.own + i) * kWeightStride + place.across] = {ds(0), ds(1), ds(2), ds(3)};
    }
    sync_warp();
    sums.add_product(memory.weights, memory.keys, place, place.streamed(begin));
  }
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    if (place.across == 0 && place.own + i < tile.rows) deltas[first + i] = delta[i];
  }
  sums.write(d_queries, stride, place, width);
}

template <int kWidth>
struct KeysShared {
  Rows<kWidth, kTile> keys, values;
  Rows<kWidth, kStreamed> queries, dy;
  Weights weights;
};

// Of a block's keys (rows of p and d) and the queries from `begin` on: p = dropout(P), d = scale·dS, both transposed; 0
// where there is no query.
template <int kWidth>
__device__ __forceinline__ void key_gradients(float (&p)[kOwn][kOwn], float (&d)[kOwn][kOwn],
                                              const KeysShared<kWidth>& memory, const Place& place,
                                              const AttentionBackwardCall& at, const DropoutMask& dropout,
                                              const float* deltas, int begin) {
  const int count = place.streamed(begin), queries = count - kOwn * place.across;
  multiply_rows(p, memory.keys, memory.queries, place, count);
  multiply_rows(d, memory.values, memory.dy, place, count);
  const int64_t row = place.tile.start + begin + kOwn * place.across;  // of the first query
  const int key = place.tile.row - place.tile.start + place.own;       // the first, a multiple of 4
#pragma unroll
  for (int j = 0; j < kOwn; ++j) {
    const bool exists = j < queries;
    const float lse = exists ? at.lse[place.head * at.tokens + row + j] : 0.0f;
    const float delta = exists ? deltas[place.head * at.tokens + row + j] : 0.0f;
    float4 mask = {1, 1, 1, 1};
    if (at.dropout > 0.0f) mask = dropout.four(static_cast<unsigned>(key / 4), place.dropout_stream(row + j));
#pragma unroll
    for (int i = 0; i < kOwn; ++i) {
      const float probability = exists ? expf(p[i][j] * at.scale - lse) : 0.0f;
      d[i][j] = probability * (d[i][j] * part(mask, i) - delta) * at.scale;
      p[i][j] = probability * part(mask, i);
    }
  }
}

__device__ __forceinline__ void store_weights(Weights& weights, const float (&w)[kOwn][kOwn], const Place& place) {
#pragma unroll
  for (int i = 0; i < kOwn; ++i) {
    weights[(place.own + i) * kWeightStride + place.across] = {w[i][0], w[i][1], w[i][2], w[i][3]};
  }
}

template <int kWidth, class S>
__global__ void __launch_bounds__(kThreads) attention_keys_kernel(AttentionBackwardCall at, const float* deltas,
                                                                  const Tile* tiles, const StepScalars* scalars) {
  const Place place(tiles[blockIdx.x], at.heads);
  const Tile& tile = place.tile;
  if (tile.rows == 0) return;
  const int width = static_cast<int>(at.hidden / at.heads);
  const int64_t stride = 3 * at.hidden, offset = int64_t{place.head} * width;
  const int64_t first_key = tile.row * stride + at.hidden + offset, first_value = first_key + at.hidden;
  if (tile.length == 0) {
    clear_rows(as<S>(at.d_qkv) + first_key, stride, tile.rows, width);
    clear_rows(as<S>(at.d_qkv) + first_value, stride, tile.rows, width);
    return;
  }
  auto& memory = shared<KeysShared<kWidth>>();
  load_rows<false>(memory.keys, as<S>(at.qkv) + first_key, stride, tile.rows, width);
  load_rows<false>(memory.values, as<S>(at.qkv) + first_value, stride, tile.rows, width);
  const DropoutMask dropout(at.dropout, at.rng, scalars);
  Sums<kWidth> d_keys, d_values;
  for (int begin = 0; begin < tile.length; begin += kStreamed) {
    const int count = place.streamed(begin);
    const int64_t row = tile.start + begin;
    if (begin > 0) sync_block();
    load_rows<true>(memory.queries, as<S>(at.qkv) + row * stride + offset, stride, count, width);
    load_rows<true>(memory.dy, as<S>(at.dy) + row * at.hidden + offset, at.hidden, count, width);
    sync_block();
    float p[kOwn][kOwn], d[kOwn][kOwn];
    key_gradients(p, d, memory, place, at, dropout, deltas, begin);
    store_weights(memory.weights, p, place);
    sync_warp();
    d_values.add_product(memory.weights, memory.dy, place, count);
    sync_warp();
    store_weights(memory.weights, d, place);
    sync_warp();
    d_keys.add_product(memory.weights, memory.queries, place, count);
  }
  d_keys.write(as<S>(at.d_qkv) + first_key, stride, place, width);
  d_values.write(as<S>(at.d_qkv) + first_value, stride, place, width);
}

// ---- launchers ----

// The map of tiles, and for backward the deltas [H, T].
struct AttentionScratch {
  AttentionScratch(char* base, int64_t tokens, int64_t sequences, int64_t delta_rows)
      : slots(tile_slots(tokens, sequences)) {
    Scratch scratch(base);
    tiles = reinterpret_cast<Tile*>(scratch.floats(slots * static_cast<int64_t>(sizeof(Tile) / sizeof(float))));
    deltas = scratch.floats(delta_rows * tokens);
    bytes = scratch.bytes();
  }

  int64_t slots;
  Tile* tiles;
  float* deltas;
  int64_t bytes;
};

template <class AnyCall>
void map_tiles(const AnyCall& at, const AttentionScratch& scratch, Stream& stream) {
  constexpr int kMapThreads = 128;
  launch(stream, {"attention tiles", dim3(blocks_for(scratch.slots, kMapThreads)), dim3(kMapThreads)}, map_tiles_kernel,
         scratch.tiles, at.cu, at.tokens, at.sequences);
}

Grid grid_of(const char* name, const AttentionScratch& scratch, int64_t heads, size_t shared_bytes) {
  return {name, dim3(static_cast<unsigned>(scratch.slots), static_cast<unsigned>(heads)), dim3(kThreads), shared_bytes};
}

template <int kWidth, class S>
void forward(const AttentionCall& at, const AttentionScratch& scratch, const Call& call) {
  launch(*call.stream, grid_of("attention", scratch, at.heads, sizeof(ForwardShared<kWidth>)),
         attention_kernel<kWidth, S>, at, scratch.tiles, call.scalars);
}

template <int kWidth, class S>
void backward(const AttentionBackwardCall& at, const AttentionScratch& scratch, const Call& call) {
  launch(*call.stream, grid_of("attention_backward, queries", scratch, at.heads, sizeof(QueriesShared<kWidth>)),
         attention_queries_kernel<kWidth, S>, at, scratch.deltas, scratch.tiles, call.scalars);
  launch(*call.stream, grid_of("attention_backward, keys", scratch, at.heads, sizeof(KeysShared<kWidth>)),
         attention_keys_kernel<kWidth, S>, at, scratch.deltas, scratch.tiles, call.scalars);
}

// Calls f with the head width rounded up to one that there are kernels for.
template <class F>
void with_width(int64_t width, const F& f) {
  if (width <= 32) return f(std::integral_constant<int, 32>{});
  if (width <= 64) return f(std::integral_constant<int, 64>{});
  if (width <= 128) return f(std::integral_constant<int, 128>{});
  throw Error("ERR_DEVICE", "attention on a GPU takes heads of at most 128 columns, not " + std::to_string(width),
              {{"width", std::to_string(width)}});
}

}  // namespace

int64_t scratch_attention(const Call& call) {
  const AttentionCall at(call);
  return AttentionScratch(nullptr, at.tokens, at.sequences, 0).bytes;
}

void run_attention(const Call& call) {
  const AttentionCall at(call);
  const AttentionScratch scratch(call.scratch, at.tokens, at.sequences, 0);
  map_tiles(at, scratch, *call.stream);
  with_width(at.hidden / at.heads, [&](auto width) {
    with_storage(call[0].dtype, [&](auto stored) { forward<width(), decltype(stored)>(at, scratch, call); });
  });
}

int64_t scratch_attention_backward(const Call& call) {
  const AttentionBackwardCall at(call);
  return AttentionScratch(nullptr, at.tokens, at.sequences, at.heads).bytes;
}

void run_attention_backward(const Call& call) {
  const AttentionBackwardCall at(call);
  const AttentionScratch scratch(call.scratch, at.tokens, at.sequences, at.heads);
  map_tiles(at, scratch, *call.stream);
  with_width(at.hidden / at.heads, [&](auto width) {
    with_storage(call[0].dtype, [&](auto stored) { backward<width(), decltype(stored)>(at, scratch, call); });
  });
}

}  // namespace oa::cuda
