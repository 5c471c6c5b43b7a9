// Sums over the rows of a matrix, in two stages of fixed order: a block sums a chunk of rows into a slot of scratch,
// then slots are added in the order of the chunks. Chunks are cut by the number of rows alone, so the same shape gives
// the same bits every time.
//
//   slots  f32[chunks, sums, width]  width: columns rounded up to a cache line; several sums of one pass lie together
//
// Within a chunk a warp adds every kTileWarps-th row, lane by lane of columns, then warps are added in their order.
// Traffic: the matrix once, and 8·chunks·sums·columns bytes of slots.
#pragma once

#include "cuda/quad.cuh"
#include "cuda/shared.cuh"

namespace oa::cuda {

constexpr int kMostColumnSums = 3;
constexpr int64_t kMostSumChunks = 256;  // two blocks for each of an H100's 132 multiprocessors

// Rows of a chunk: a whole number for each warp.
inline int64_t sum_chunk_rows(int64_t rows) {
  const int64_t each_warp = (rows + kMostSumChunks * kTileWarps - 1) / (kMostSumChunks * kTileWarps);
  return (each_warp > 0 ? each_warp : 1) * kTileWarps;
}

inline int64_t sum_chunks(int64_t rows) { return blocks_for(rows, sum_chunk_rows(rows)); }

// A pass's slots, cut from the Scratch of ops/scratch.h.
struct ColumnSlots {
  ColumnSlots() = default;
  template <class Scratch>
  ColumnSlots(Scratch& scratch, int64_t rows, int64_t columns, int count)
      : sums(count), chunks(sum_chunks(rows)), width((columns + kLine - 1) / kLine * kLine) {
    // Room for fewer rows too, which may be cut into more chunks than these.
    const int64_t most = blocks_for(rows, kTileWarps);
    slots = scratch.floats((most < kMostSumChunks ? most : kMostSumChunks) * sums * width);
  }

  // Where sum `i` of a chunk goes.
  __device__ __forceinline__ float* of(int64_t chunk, int i) const { return slots + (chunk * sums + i) * width; }

  static constexpr int64_t kLine = 16;  // floats

  float* slots = nullptr;  // null: no sums are asked for
  int sums = 0;
  int64_t chunks = 0;
  int64_t width = 0;
};

// What the warps of a block hold for the same kQuads·kWarpColumns columns.
template <int kQuads>
using WarpColumns = SharedArray<float4, kTileWarps * kQuads * kWarp>;

// slot = Σ over warps of `sums`, where a lane's quad i is column kQuad·(lane + kWarp·i). All threads of a block of
// kTileWarps warps take part; `parts` may be used again behind the next barrier.
template <int kQuads>
__device__ __forceinline__ void add_warps(WarpColumns<kQuads>& parts, const float4 (&sums)[kQuads], float* slot,
                                          int columns) {
#pragma unroll
  for (int i = 0; i < kQuads; ++i) parts[(warp() * kQuads + i) * kWarp + lane()] = sums[i];
  sync_block();
  for (int quad = static_cast<int>(threadIdx.x); quad * kQuad < columns && quad < kQuads * kWarp;
       quad += kTileThreads) {
    float4 sum = parts[quad];
    for (int w = 1; w < kTileWarps; ++w) sum = add(sum, static_cast<float4>(parts[w * kQuads * kWarp + quad]));
    *reinterpret_cast<float4*>(slot + quad * kQuad) = sum;  // a slot has room for whole quads
  }
}

// A block owns a chunk of rows and kWarpColumns columns. `source.template quad<kWhole>(row, column)` gives what is
// summed, with zeros behind the row; it is called once for each quad, so it may write on the way.
template <bool kWhole, class Source>
__global__ void column_sums_kernel(Source source, ColumnSlots slots, int64_t rows, int64_t chunk_rows, int columns) {
  auto& parts = shared<WarpColumns<1>>();
  const int first = static_cast<int>(blockIdx.y) * kWarpColumns;
  const int column = first + lane() * kQuad;
  const int64_t begin = int64_t{blockIdx.x} * chunk_rows;
  const int64_t end = begin + chunk_rows < rows ? begin + chunk_rows : rows;
  float4 sum[1] = {};
  if (column < columns) {
    for (int64_t row = begin + warp(); row < end; row += kTileWarps) {
      sum[0] = add(sum[0], source.template quad<kWhole>(row, column));
    }
  }
  if (slots.slots) add_warps<1>(parts, sum, slots.of(blockIdx.x, 0) + first, columns - first);
}

constexpr int kSlotWarps = 16;

// out[i][c] = Σ over chunks. A block owns kWarp columns of sum blockIdx.y: a warp adds a run of chunks, then the runs
// are added in order.
struct ColumnOutputs {
  float* out[kMostColumnSums];  // null: not asked for
};

template <int kWarps>
__global__ void add_slots_kernel(ColumnOutputs outputs, ColumnSlots slots, int columns) {
  auto& parts = shared<SharedArray<float, kWarps * kWarp>>();
  const int sum = static_cast<int>(blockIdx.y);
  float* const out = sum == 0 ? outputs.out[0] : sum == 1 ? outputs.out[1] : outputs.out[2];
  if (!out) return;
  const int column = static_cast<int>(blockIdx.x) * kWarp + lane();
  const int64_t run = (slots.chunks + kWarps - 1) / kWarps;
  const int64_t begin = warp() * run;
  const int64_t end = begin + run < slots.chunks ? begin + run : slots.chunks;
  float value = 0.0f;
  if (column < columns) {
    for (int64_t chunk = begin; chunk < end; ++chunk) value += slots.of(chunk, sum)[column];
  }
  parts[warp() * kWarp + lane()] = value;
  sync_block();
  if (warp() != 0 || column >= columns) return;
  for (int w = 1; w < kWarps; ++w) value += parts[w * kWarp + lane()];
  out[column] = value;
}

// --- launchers ---

// The second stage; with no rows, zeros.
inline void add_slots(Stream& stream, const char* name, const ColumnOutputs& outputs, const ColumnSlots& slots,
                      int64_t columns) {
  launch(stream,
         {name, dim3(blocks_for(columns, kWarp), static_cast<unsigned>(slots.sums)), dim3(kSlotWarps * kWarp),
          sizeof(SharedArray<float, kSlotWarps * kWarp>)},
         add_slots_kernel<kSlotWarps>, outputs, slots, static_cast<int>(columns));
}

// The first stage of one sum; `slots` may be absent, where only what the source writes is wanted.
template <class Source>
void sum_columns_to_slots(Stream& stream, const char* name, const Source& source, const ColumnSlots& slots,
                          int64_t rows, int64_t columns, bool whole) {
  launch(stream,
         {name, dim3(static_cast<unsigned>(sum_chunks(rows)), blocks_for(columns, kWarpColumns)), dim3(kTileThreads),
          sizeof(WarpColumns<1>)},
         whole ? column_sums_kernel<true, Source> : column_sums_kernel<false, Source>, source, slots, rows,
         sum_chunk_rows(rows), static_cast<int>(columns));
}

}  // namespace oa::cuda
