// LayerNorm of rows (Ba et al. 2016), forward and backward: what layer_norm, residual_layer_norm and adapter share.
//   forward   mean = Σ s / C;  rstd = 1 / sqrt(Σ (s - mean)² / C + epsilon);  xhat = (s - mean)·rstd
//             y = xhat∘gamma + beta
//   backward  with g = dy∘gamma:  ds = rstd·(g - mean(g) - xhat·mean(g∘xhat))
//             and as sums over rows: d_gamma = Σ dy∘xhat, d_beta = Σ dy, d_bias = Σ ds
//
// s comes from a source, ds goes to a sink: functors, so that dropout, residual sums and the adapter's sum are part of
// the pass. A row belongs to a team: a warp up to kWarpTeamColumns columns, else a block. It stays in registers from
// the first read to the last write, so sums need no second read, y may lie over what the source reads at the same
// element, and the variance is a second pass for nothing: Σ s² - mean² would cancel.
//
// Forward: a warp owns one row, or a block one row. Backward: a block owns a chunk of rows (column_sums.cuh), keeps its
// column sums in registers, and writes them to its slot at the end.
// Matrices of a pass are S, f32 or bf16, in memory; sums and what is between is f32, rounded once where it is stored.
// Traffic in bytes, in f32, forward: 4·C a row for each of y, xhat and what the source reads; backward: 8·C read, and
// what the sink writes; gamma and beta stay in the caches.
//
// A source is a struct of arguments with a type Reader<kWhole>, made once a thread from it; reader(row, column) gives a
// quad of s with zeros behind the row. A sink likewise has Writer<kWhole>; writer(row, column, ds) takes a quad.
#pragma once

#include <string>
#include <type_traits>

#include "base/error.h"
#include "cuda/quad.cuh"
#include "cuda/reduce.cuh"
#include "ops/column_sums.cuh"

namespace oa::cuda {

constexpr int kTeamThreads = kTileThreads;  // of a block of either kind
constexpr int kWarpTeamColumns = 1024;
constexpr int kBlockQuads = 4;
constexpr int kMostRowColumns = kTeamThreads * kBlockQuads * kQuad;

// The threads of a row. A member's quad i is column kQuad·(member + size·i).
struct WarpTeam {
  __device__ __forceinline__ int column(int i) const { return (lane() + kWarp * i) * kQuad; }
  __device__ __forceinline__ bool is_first() const { return lane() == 0; }
  __device__ __forceinline__ float sum(float value, int) const { return warp_sum(value); }
};

struct BlockTeamParts {
  WarpParts<float> parts[2];
};

struct BlockTeam {
  BlockTeamParts& shared;

  __device__ __forceinline__ int column(int i) const {
    return (static_cast<int>(threadIdx.x) + kTeamThreads * i) * kQuad;
  }
  __device__ __forceinline__ bool is_first() const { return threadIdx.x == 0; }
  // The sums of a row take turns in `which`, 0 and 1: behind the barrier of one, the parts of the other are free.
  __device__ __forceinline__ float sum(float value, int which) const { return block_sum(value, shared.parts[which]); }
};

// --- forward ---

template <class S>
struct Normalization {
  S* y;                // [rows, C]
  S* xhat;             // [rows, C] or null
  float* rstd;         // [rows] or null
  const float* gamma;  // [C]
  const float* beta;   // [C]
  int64_t rows;
  int columns;  // C
  float epsilon;
};

// All of a team, with the same row.
template <int kQuads, bool kWhole, class S, class Team, class Reader>
__device__ __forceinline__ void normalize_row(const Normalization<S>& norm, int64_t row, const Team& team,
                                              const Reader& source) {
  const int columns = norm.columns;
  const float inverse = 1.0f / static_cast<float>(columns);
  float4 values[kQuads];
  float sum = 0.0f;
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    const int column = team.column(i);
    values[i] = column < columns ? source(row, column) : float4{};
    sum += total(values[i]);
  }
  const float mean = team.sum(sum, 0) * inverse;

  float square = 0.0f;
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    const int column = team.column(i);
    if (column >= columns) continue;
    values[i] = keep_inside<kWhole>(each([&](float s) { return s - mean; }, values[i]), column, columns);
    square += total(multiply(values[i], values[i]));
  }
  const float rstd = 1.0f / sqrtf(team.sum(square, 1) * inverse + norm.epsilon);

  if (norm.rstd && team.is_first()) norm.rstd[row] = rstd;
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    const int column = team.column(i);
    if (column >= columns) continue;
    const float4 xhat = each([&](float centred) { return centred * rstd; }, values[i]);
    const float4 gamma = load_quad_anywhere<kWhole>(norm.gamma, column, columns);
    const float4 beta = load_quad_anywhere<kWhole>(norm.beta, column, columns);
    if (norm.xhat) store_quad<kWhole>(norm.xhat + row * columns, column, columns, xhat);
    store_quad<kWhole>(norm.y + row * columns, column, columns, multiply_add(xhat, gamma, beta));
  }
}

template <int kQuads, bool kWhole, class S, class Source>
__global__ void __launch_bounds__(kTeamThreads) normalize_by_warps_kernel(Normalization<S> norm, Source source) {
  const int64_t row = int64_t{blockIdx.x} * kTileWarps + warp();
  if (row >= norm.rows) return;  // a warp as a whole; there is no barrier of the block
  normalize_row<kQuads, kWhole>(norm, row, WarpTeam{}, typename Source::template Reader<kWhole>(source));
}

template <bool kWhole, class S, class Source>
__global__ void __launch_bounds__(kTeamThreads) normalize_by_blocks_kernel(Normalization<S> norm, Source source) {
  const BlockTeam team{shared<BlockTeamParts>()};
  normalize_row<kBlockQuads, kWhole>(norm, blockIdx.x, team, typename Source::template Reader<kWhole>(source));
}

// --- backward ---

template <class S>
struct NormalizationGradient {
  const S* dy;         // [rows, C]
  const S* xhat;       // [rows, C]
  const float* rstd;   // [rows]
  const float* gamma;  // [C]
  int64_t rows;
  int columns;          // C
  bool input_gradient;  // whether the sink is to be called; also for d_bias
};

// All of a team, with the same row. sums: d_gamma, d_beta and, with kSums = 3, d_bias get the row's part.
template <int kQuads, bool kWhole, int kSums, class S, class Team, class Writer>
__device__ __forceinline__ void normalization_gradient_row(const NormalizationGradient<S>& norm, int64_t row,
                                                           const Team& team, const Writer& sink,
                                                           float4 (&sums)[kSums][kQuads]) {
  const int columns = norm.columns;
  const float inverse = 1.0f / static_cast<float>(columns);
  float4 g[kQuads], xhat[kQuads];
  float sum = 0.0f, product = 0.0f;
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    const int column = team.column(i);
    const float4 dy = load_quad<kWhole>(norm.dy + row * columns, column, columns);
    xhat[i] = load_quad<kWhole>(norm.xhat + row * columns, column, columns);
    g[i] = multiply(dy, load_quad_anywhere<kWhole>(norm.gamma, column, columns));
    sum += total(g[i]);
    product += total(multiply(g[i], xhat[i]));
    sums[0][i] = multiply_add(dy, xhat[i], sums[0][i]);
    sums[1][i] = add(sums[1][i], dy);
  }
  if (!norm.input_gradient) return;
  const float mean = team.sum(sum, 0) * inverse;
  const float slope = team.sum(product, 1) * inverse;
  const float rstd = norm.rstd[row];
#pragma unroll
  for (int i = 0; i < kQuads; ++i) {
    const int column = team.column(i);
    if (column >= columns) continue;
    const float4 ds = each([&](float a, float b) { return rstd * (a - mean - b * slope); }, g[i], xhat[i]);
    if constexpr (kSums > 2) sums[2][i] = add(sums[2][i], ds);
    sink(row, column, ds);
  }
}

template <int kQuads, bool kWhole, int kSums, class S, class Sink>
__global__ void __launch_bounds__(kTeamThreads)
    normalization_gradient_by_warps_kernel(NormalizationGradient<S> norm, Sink sink, ColumnSlots slots,
                                           int64_t chunk_rows) {
  auto& parts = shared<WarpColumns<kQuads>>();
  const typename Sink::template Writer<kWhole> writer(sink);
  const int64_t begin = int64_t{blockIdx.x} * chunk_rows;
  const int64_t end = begin + chunk_rows < norm.rows ? begin + chunk_rows : norm.rows;
  float4 sums[kSums][kQuads] = {};
  for (int64_t row = begin + warp(); row < end; row += kTileWarps) {
    normalization_gradient_row<kQuads, kWhole>(norm, row, WarpTeam{}, writer, sums);
  }
  if (!slots.slots) return;
#pragma unroll
  for (int i = 0; i < kSums; ++i) {
    if (i > 0) sync_block();
    add_warps<kQuads>(parts, sums[i], slots.of(blockIdx.x, i), norm.columns);
  }
}

template <bool kWhole, int kSums, class S, class Sink>
__global__ void __launch_bounds__(kTeamThreads)
    normalization_gradient_by_blocks_kernel(NormalizationGradient<S> norm, Sink sink, ColumnSlots slots,
                                            int64_t chunk_rows) {
  const BlockTeam team{shared<BlockTeamParts>()};
  const typename Sink::template Writer<kWhole> writer(sink);
  const int64_t begin = int64_t{blockIdx.x} * chunk_rows;
  const int64_t end = begin + chunk_rows < norm.rows ? begin + chunk_rows : norm.rows;
  float4 sums[kSums][kBlockQuads] = {};
  for (int64_t row = begin; row < end; ++row) {
    normalization_gradient_row<kBlockQuads, kWhole>(norm, row, team, writer, sums);
  }
  if (!slots.slots) return;
#pragma unroll
  for (int i = 0; i < kSums; ++i) {
#pragma unroll
    for (int q = 0; q < kBlockQuads; ++q) {
      // Slots have room for whole quads.
      if (team.column(q) < norm.columns) {
        *reinterpret_cast<float4*>(slots.of(blockIdx.x, i) + team.column(q)) = sums[i][q];
      }
    }
  }
}

// A sink that writes ds to a matrix; null: nobody asks.
template <class S>
struct GradientSink {
  S* ds;
  int columns;

  template <bool kWhole>
  struct Writer {
    __device__ __forceinline__ explicit Writer(const GradientSink& sink_) : sink(sink_) {}
    __device__ __forceinline__ void operator()(int64_t row, int column, float4 ds) const {
      if (sink.ds) store_quad<kWhole>(sink.ds + row * sink.columns, column, sink.columns, ds);
    }
    const GradientSink& sink;
  };
};

// --- launchers ---

inline void require_row(const char* name, int columns) {
  if (columns <= kMostRowColumns) return;
  throw Error("ERR_DEVICE", std::string(name) + " of rows of " + std::to_string(columns) + " columns: on a GPU " +
                                std::to_string(kMostRowColumns) + " are the most");
}

// Quads of a lane come in three sizes, for up to 384, 768 and 1024 columns; rows of odd widths are rare and share one.
// `body` gets the size and kWhole as constants.
template <class Body>
void with_warp_quads(int columns, bool whole, const Body& body) {
  using std::integral_constant;
  if (!whole) return body(integral_constant<int, 8>{}, std::false_type{});
  if (columns <= 3 * kWarpColumns) return body(integral_constant<int, 3>{}, std::true_type{});
  if (columns <= 6 * kWarpColumns) return body(integral_constant<int, 6>{}, std::true_type{});
  body(integral_constant<int, 8>{}, std::true_type{});
}

// `whole` is is_whole() of all matrices that norm and source name.
template <class S, class Source>
void normalize(Stream& stream, const char* name, const Normalization<S>& norm, const Source& source, bool whole) {
  require_row(name, norm.columns);
  if (norm.columns > kWarpTeamColumns) {
    launch(stream, {name, dim3(static_cast<unsigned>(norm.rows)), dim3(kTeamThreads), sizeof(BlockTeamParts)},
           whole ? normalize_by_blocks_kernel<true, S, Source> : normalize_by_blocks_kernel<false, S, Source>, norm,
           source);
    return;
  }
  with_warp_quads(norm.columns, whole, [&](auto quads, auto whole_rows) {
    launch(stream, {name, dim3(blocks_for(norm.rows, kTileWarps)), dim3(kTeamThreads)},
           normalize_by_warps_kernel<quads.value, whole_rows.value, S, Source>, norm, source);
  });
}

// The gradient and, where there are slots for them, the first kSums of the sums d_gamma, d_beta, d_bias.
template <int kSums, class S, class Sink>
void normalization_gradient(Stream& stream, const char* name, const NormalizationGradient<S>& norm, const Sink& sink,
                            const ColumnSlots& slots, bool whole) {
  require_row(name, norm.columns);
  const auto blocks = static_cast<unsigned>(sum_chunks(norm.rows));
  const int64_t chunk_rows = sum_chunk_rows(norm.rows);
  if (norm.columns > kWarpTeamColumns) {
    launch(stream, {name, dim3(blocks), dim3(kTeamThreads), sizeof(BlockTeamParts)},
           whole ? normalization_gradient_by_blocks_kernel<true, kSums, S, Sink>
                 : normalization_gradient_by_blocks_kernel<false, kSums, S, Sink>,
           norm, sink, slots, chunk_rows);
    return;
  }
  with_warp_quads(norm.columns, whole, [&](auto quads, auto whole_rows) {
    launch(stream, {name, dim3(blocks), dim3(kTeamThreads), sizeof(WarpColumns<quads.value>)},
           normalization_gradient_by_warps_kernel<quads.value, whole_rows.value, kSums, S, Sink>, norm, sink, slots,
           chunk_rows);
  });
}

}  // namespace oa::cuda
