// The whole adapter forward in one kernel, for small bottlenecks, in f32, of matrices S, f32 or bf16, in memory (x is
// f32 always: the sum is rounded once, behind the LayerNorm):
//   a = dropout(x);  z = a·down_wᵀ + down_b;  s = a + activation(z)·up_wᵀ + up_b + residual;  y = LayerNorm(s)
// (Houlsby et al. 2019 §2.1 and figure 2). C <= kFusedColumns, M <= kFusedBottleneck.
//
// A block owns kFusedRows rows. a lies in shared memory and becomes s there, so x, residual, y and xhat cross the
// memory once: 12·C bytes a row, with xhat 16·C, against 24·C and more of products with kernels between. Each block
// reads both weights, 8·M·C bytes, which come from the second-level cache, 16 KiB at a time, and are fetched into
// registers while the tile before is multiplied.
//
// Both products are rows·wᵀ: a thread has kRowsEach rows and 4 of the weight's rows, so that a quad from shared memory
// serves 4 or 2 of 8 sums. For `down` these are the hidden units l, l + 16, l + 32, l + 48 (l: the thread's place among
// 16), and as many as M has are computed; for `up` the columns 4·l to 4·l + 3, a quad of s.
#pragma once

#include "cuda/activations.cuh"
#include "ops/layer_norm.cuh"

namespace oa::cuda {

constexpr int kFusedColumns = kWarpTeamColumns;
constexpr int kFusedBottleneck = 64;
constexpr int kFusedRows = 16;
constexpr int kFusedThreads = 128;
constexpr int kFusedWarps = kFusedThreads / kWarp;

constexpr int kRowsEach = 2;  // of a thread, kRowStep apart
constexpr int kRowStep = kFusedRows / kRowsEach;
constexpr int kPlaces = kFusedThreads / kRowStep;     // threads of a row: 16
constexpr int kWeightsEach = 4;                       // rows of a weight tile, of a thread
constexpr int kTileWeights = kPlaces * kWeightsEach;  // rows of a weight tile
constexpr int kTileQuads = 16;                        // and its columns
constexpr int kTileStride = kTileQuads + 1;           // odd: 8 neighbouring rows lie in different banks
constexpr int kFetches = kTileWeights * kTileQuads / kFusedThreads;
static_assert(kTileWeights == kFusedBottleneck && kTileQuads * kQuad == kFusedBottleneck && kPlaces == kTileQuads);

template <class S>
struct AdapterForward {
  Normalization<S> norm;
  S* z;                 // [T, M] or null
  const float* x;       // [T, C]
  const S* residual;    // [T, C]
  const S* down_w;      // [M, C]
  const float* down_b;  // [M]
  const S* up_w;        // [C, M]
  const float* up_b;    // [C]
  int bottleneck;       // M
  int activation;
  Dropout dropout;
};

template <int kQuads>
struct AdapterTile {
  static constexpr int kStride = kQuads * kWarp;

  SharedArray<float4, kFusedRows * kStride> rows;  // a, then s without the residual
  SharedArray<float4, kTileWeights * kTileStride> weights;
  SharedArray<float4, kFusedRows * kTileQuads> hidden;  // activation(z)
};

// A thread's part of a weight tile on its way.
struct FetchedWeights {
  float4 quads[kFetches];
};

__device__ __forceinline__ int place() { return static_cast<int>(threadIdx.x) % kPlaces; }
__device__ __forceinline__ int place_row() { return static_cast<int>(threadIdx.x) / kPlaces; }

// Rows from `row` and columns from `column` of w[rows, columns], zeros outside of it.
template <class S>
__device__ __forceinline__ void fetch_weights(FetchedWeights& fetched, const S* w, int rows, int columns, int row,
                                              int column) {
  const bool whole = columns % kQuad == 0 && reinterpret_cast<uintptr_t>(w) % (kQuad * sizeof(S)) == 0;
#pragma unroll
  for (int i = 0; i < kFetches; ++i) {
    const int r = row + place_row() + i * kRowStep, c = column + place() * kQuad;
    const S* const from = w + int64_t{r} * columns;
    fetched.quads[i] = r >= rows ? float4{}
                       : whole   ? load_quad<true>(from, c, columns)
                                 : load_quad<false>(from, c, columns);
  }
}

// kByQuads: four neighbouring rows go to the same place of four threads' turns, see multiply_tile.
template <bool kByQuads, class Weights>
__device__ __forceinline__ void put_weights(Weights& weights, const FetchedWeights& fetched) {
#pragma unroll
  for (int i = 0; i < kFetches; ++i) {
    const int r = place_row() + i * kRowStep;
    const int slot = kByQuads ? r % kWeightsEach * kPlaces + r / kWeightsEach : r;
    weights[slot * kTileStride + place()] = fetched.quads[i];
  }
}

// sums[i][j] += row i of the thread · slot `place + kPlaces·j` of the tile, over `quads` quads, for j < weights_each.
template <class Rows, class Weights>
__device__ __forceinline__ void multiply_tile(float (&sums)[kRowsEach][kWeightsEach], const Rows& rows, int stride,
                                              int from, const Weights& weights, int quads, int weights_each) {
  for (int k = 0; k < quads; ++k) {
    float4 row[kRowsEach];
#pragma unroll
    for (int i = 0; i < kRowsEach; ++i) row[i] = rows[(place_row() + i * kRowStep) * stride + from + k];
#pragma unroll
    for (int j = 0; j < kWeightsEach; ++j) {
      if (j >= weights_each) break;
      const float4 w = weights[(place() + kPlaces * j) * kTileStride + k];
#pragma unroll
      for (int i = 0; i < kRowsEach; ++i) {
        sums[i][j] = fmaf(row[i].w, w.w, fmaf(row[i].z, w.z, fmaf(row[i].y, w.y, fmaf(row[i].x, w.x, sums[i][j]))));
      }
    }
  }
}

// rows = dropout(x); zeros behind the last row.
template <int kQuads, bool kWhole, bool kDropout, class S>
__device__ __forceinline__ void load_rows(AdapterTile<kQuads>& tile, const AdapterForward<S>& ad, int64_t first) {
  const int columns = ad.norm.columns;
  const QuadMask<kDropout> mask(ad.dropout, columns);
  for (int r = warp(); r < kFusedRows; r += kFusedWarps) {
    const int64_t row = first + r;
#pragma unroll
    for (int i = 0; i < kQuads; ++i) {
      const int quad = lane() + kWarp * i;
      float4 a = {};
      if (row < ad.norm.rows && quad * kQuad < columns) {
        a = load_quad<kWhole>(ad.x + row * columns, quad * kQuad, columns);
        a = mask.template apply<kWhole>(a, row, quad * kQuad);
      }
      tile.rows[r * AdapterTile<kQuads>::kStride + quad] = a;
    }
  }
}

// hidden = activation(z), z saved. Four threads' numbers make a quad.
template <int kQuads, class S>
__device__ __forceinline__ void activate_hidden(AdapterTile<kQuads>& tile, const AdapterForward<S>& ad, int64_t first,
                                                const float (&sums)[kRowsEach][kWeightsEach]) {
  const int m = ad.bottleneck;
#pragma unroll
  for (int j = 0; j < kWeightsEach; ++j) {
    if (kPlaces * j >= m) break;
    const int unit = place() + kPlaces * j;
    const float bias = unit < m ? ad.down_b[unit] : 0.0f;
#pragma unroll
    for (int i = 0; i < kRowsEach; ++i) {
      const int r = place_row() + i * kRowStep;
      const float z = sums[i][j] + bias;
      if (ad.z && unit < m && first + r < ad.norm.rows) store(ad.z + (first + r) * m + unit, z);
      const float value = unit < m ? activate(ad.activation, z).y : 0.0f;
      const int base = lane() / kQuad * kQuad;
      const float4 quad = {shuffle(value, base), shuffle(value, base + 1), shuffle(value, base + 2),
                           shuffle(value, base + 3)};
      if (lane() == base) tile.hidden[r * kTileQuads + unit / kQuad] = quad;
    }
  }
}

template <int kQuads, class S>
__device__ __forceinline__ void down_product(AdapterTile<kQuads>& tile, const AdapterForward<S>& ad, int64_t first) {
  const int columns = ad.norm.columns, m = ad.bottleneck;
  const int quads = (columns + kQuad - 1) / kQuad;
  float sums[kRowsEach][kWeightsEach] = {};
  FetchedWeights fetched;
  fetch_weights(fetched, ad.down_w, m, columns, 0, 0);
  for (int from = 0; from < quads; from += kTileQuads) {
    sync_block();  // first for the rows, then for readers of the tile before
    put_weights<false>(tile.weights, fetched);
    sync_block();
    if (from + kTileQuads < quads) fetch_weights(fetched, ad.down_w, m, columns, 0, (from + kTileQuads) * kQuad);
    const int count = quads - from < kTileQuads ? quads - from : kTileQuads;
    multiply_tile(sums, tile.rows, AdapterTile<kQuads>::kStride, from, tile.weights, count,
                  (m + kPlaces - 1) / kPlaces);
  }
  activate_hidden(tile, ad, first, sums);
}

// rows += hidden·up_wᵀ + up_b; a thread adds to quads of its own.
template <int kQuads, bool kWhole, class S>
__device__ __forceinline__ void up_product(AdapterTile<kQuads>& tile, const AdapterForward<S>& ad) {
  const int columns = ad.norm.columns, m = ad.bottleneck;
  FetchedWeights fetched;
  fetch_weights(fetched, ad.up_w, columns, m, 0, 0);
  for (int from = 0; from < columns; from += kTileWeights) {
    sync_block();  // first for the hidden units, then for readers of the tile before
    put_weights<true>(tile.weights, fetched);
    sync_block();
    if (from + kTileWeights < columns) fetch_weights(fetched, ad.up_w, columns, m, from + kTileWeights, 0);
    float sums[kRowsEach][kWeightsEach] = {};
    multiply_tile(sums, tile.hidden, kTileQuads, 0, tile.weights, (m + kQuad - 1) / kQuad, kWeightsEach);
    const int column = from + place() * kQuad;
    const float4 bias = load_quad_anywhere<kWhole>(ad.up_b, column, columns);
#pragma unroll
    for (int i = 0; i < kRowsEach; ++i) {
      const int at = (place_row() + i * kRowStep) * AdapterTile<kQuads>::kStride + column / kQuad;
      const float4 up = add({sums[i][0], sums[i][1], sums[i][2], sums[i][3]}, bias);
      tile.rows[at] = add(up, tile.rows[at]);
    }
  }
}

// Two blocks are what shared memory admits; asked for more, the compiler spills where rows have odd widths.
template <int kQuads, bool kWhole, bool kDropout, class S>
__global__ void __launch_bounds__(kFusedThreads, 2) adapter_forward_kernel(AdapterForward<S> ad) {
  auto& tile = shared<AdapterTile<kQuads>>();
  const int64_t first = int64_t{blockIdx.x} * kFusedRows;
  load_rows<kQuads, kWhole, kDropout>(tile, ad, first);
  down_product<kQuads>(tile, ad, first);
  up_product<kQuads, kWhole>(tile, ad);
  sync_block();
  const int columns = ad.norm.columns;
  for (int r = warp(); r < kFusedRows && first + r < ad.norm.rows; r += kFusedWarps) {
    normalize_row<kQuads, kWhole>(ad.norm, first + r, WarpTeam{}, [&](int64_t row, int column) {
      const float4 s = tile.rows[r * AdapterTile<kQuads>::kStride + column / kQuad];
      return add(s, load_quad<kWhole>(ad.residual + row * columns, column, columns));
    });
  }
}

// `whole` is is_whole() of y, xhat, x and residual.
template <bool kDropout, class S>
void adapter_forward(Stream& stream, const char* name, const AdapterForward<S>& ad, bool whole) {
  with_warp_quads(ad.norm.columns, whole, [&](auto quads, auto whole_rows) {
    launch(stream,
           {name, dim3(blocks_for(ad.norm.rows, kFusedRows)), dim3(kFusedThreads), sizeof(AdapterTile<quads.value>)},
           adapter_forward_kernel<quads.value, whole_rows.value, kDropout, S>, ad);
  });
}

}  // namespace oa::cuda
