// The whole adapter forward in one kernel, for small bottlenecks, on tensor cores: bf16 in memory, except x, which the
// dense layer below leaves in f32, and f32 in between.
//   a = dropout(x);  z = a·down_wᵀ + down_b;  s = a + activation(z)·up_wᵀ + up_b + residual;  y = LayerNorm(s)
// (Houlsby et al. 2019 §2.1 and figure 2). C <= 1024, a multiple of 8; M <= 64. Roundings: x and activation(z) where
// products read them, and what is written. s is f32 from its first term to the end of LayerNorm: the adapter's first
// steps are smaller than a step of bf16.
//
// Who owns what. A block takes 16 or 32 rows at a time and goes on to every gridDim-th tile; a warp owns kWarpColumns
// columns of C throughout, of x, of both weights, of the residual and of y. So the first product is a sum over warps:
// every warp leaves its part of z in shared memory, and the block adds the parts in the order of the warps. The second
// product and what follows needs of other warps only the sums of LayerNorm.
//
// Lanes. What a product sums over may come in any order (mma.cuh). Of 32 columns, lane 4·g + t takes 8·t to 8·t + 7 of
// rows g and g + 8, 16 bytes of bf16: words 0 and 1 are its share of one product of depth 16, words 2 and 3 of the
// next. Rows are thus read and written 16 bytes at a time, straight from memory to the fragments that products take,
// and a lane's 8 columns are two blocks of dropout's numbers. Columns of the second product are dealt out in the same
// way, by choosing which row of up_w a lane reads: sums and rows meet in one lane.
//
// Weights lie in shared memory as 16-byte pieces, each warp's own, in four parts: columns 0 to 31 and 32 to 63 of
// down_w, the same rows of up_w. Where all fit, they are copied once, before the first tile. Else there is room for
// two: the parts of up_w are copied in place of down_w's while z is added up, and down_w's for the next tile during
// LayerNorm. The next tile's rows are asked for, into the second-level cache, when this one's have come.
//
// Traffic in bytes a row: 4·C for x, 2·C each for residual and y, and for xhat where that is kept; 2·M for z. x is read
// twice, the second time from a cache: to keep it would take 64 registers. Weights: 4·M·C a block where they stay, else
// as much a tile, from the second-level cache: at M = 64 and C = 768 192 KiB for 32 rows' 240 KiB. Arithmetic: 4·M·C a
// row, at the same shape 26 operations a byte, a tenth of what tensor cores of an H100 can do for it.
#pragma once

#include "ops/adapter_tensor_rows.cuh"

namespace oa::cuda {

namespace adapter_tensor {

// --- weights ---

// Starts copies of this warp's part: 0 and 1 are segments of down_w, 2 and 3 of up_w.
template <class S>
__device__ __forceinline__ void copy_part(Memory<S>& memory, const AdapterTensorForward& ad, int part,
                                          const Place& place) {
  const int stage = (place.warp * S::kStages + part % S::kStages) * S::kPartPieces;
  const int column = place.first + part % kSegments * kSegment;
#pragma unroll 1  // its addresses would be kept in registers from tile to tile
  for (int i = place.lane; i < S::kPartPieces; i += kWarp) {
    if (part < kSegments) {
      const int unit = i / 4, c = column + i % 4 * kPiece;
      const bool exists = unit < ad.bottleneck && c < ad.columns;
      copy_async(memory.weights, stage + i, ad.down_w + int64_t{unit} * ad.columns + c, exists);
    } else {
      constexpr int kRowPieces = S::kUnits / kPiece;
      const int row = i / kRowPieces, piece = i % kRowPieces;
      const bool exists = column + row < ad.columns && piece * kPiece < ad.up_stride;
      copy_async(memory.weights, stage + row * kRowPieces + unit_piece<S>(row, piece),
                 ad.up_w + int64_t{column + row} * ad.up_stride + piece * kPiece, exists);
    }
  }
}

template <class S>
__device__ __forceinline__ void copy_parts(Memory<S>& memory, const AdapterTensorForward& ad, int first,
                                           const Place& place) {
#pragma unroll
  for (int i = 0; i < kSegments; ++i) copy_part<S>(memory, ad, first + i, place);
  commit_copies();
}

template <class S>
__device__ __forceinline__ uint4 weight(const Memory<S>& memory, const Place& place, int part, int piece) {
  return memory.weights[(place.warp * S::kStages + part % S::kStages) * S::kPartPieces + piece];
}

// Parts that this warp has asked for have arrived, for all of its lanes.
__device__ __forceinline__ void wait_for_parts() {
  wait_for_copies<0>();
  sync_warp();
}

// c += rows g and g + 8 · a piece of a weight: two products of depth 16.
__device__ __forceinline__ void multiply_pieces(float (&c)[4], uint4 upper, uint4 lower, uint4 w) {
  const uint32_t first[4] = {upper.x, lower.x, upper.y, lower.y};
  multiply_add(c, first, w.x, w.y);
  const uint32_t second[4] = {upper.z, lower.z, upper.w, lower.w};
  multiply_add(c, second, w.z, w.w);
}

// --- down ---

// Leaves this warp's part of z, of the 16 rows of a tile, where the block adds it up.
template <class S>
__device__ __forceinline__ void down_product(Memory<S>& memory, const Pieces<S::kTiles>& x, int tile,
                                             const Place& place) {
  float z[S::kUnitTiles][4] = {};
#pragma unroll
  for (int s = 0; s < kSegments; ++s) {
#pragma unroll
    for (int j = 0; j < S::kUnitTiles; ++j) {
      const uint4 w = weight<S>(memory, place, s, (j * kMmaColumns + place.g) * 4 + place.t);
      multiply_pieces(z[j], x.at[tile][0][s], x.at[tile][1][s], w);
    }
  }
#pragma unroll
  for (int j = 0; j < S::kUnitTiles; ++j) {
    memory.parts[(place.warp * S::kUnitTiles + j) * kWarp + place.lane] = float4{z[j][0], z[j][1], z[j][2], z[j][3]};
  }
}

// Where a pair of hidden units lies: as lanes take them for a product, so that each reads its four words at once.
// `pair` is the pair's place among the four of 8 units.
template <class S>
__device__ __forceinline__ int hidden_word(int tile, int tile_of_units, int pair, int half, int g) {
  const int depth = tile_of_units / 4 * 2 + pair / 2;  // of 16
  const int lane = g * 4 + tile_of_units % 4;
  return ((tile * (S::kUnits / kMmaDepth) + depth) * kWarp + lane) * 4 + pair % 2 * 2 + half;
}

// z and activation(z) of 16 rows, from all warps' parts. A thread takes what one lane has of 8 units: two neighbours in
// rows g and g + 8.
template <class S>
__device__ __forceinline__ void add_parts(Memory<S>& memory, const AdapterTensorForward& ad, int64_t first, int tile,
                                          float scale) {
  const int warps = static_cast<int>(blockDim.x) / kWarp;
  for (int slot = static_cast<int>(threadIdx.x); slot < S::kUnitTiles * kWarp; slot += static_cast<int>(blockDim.x)) {
    float4 sum = memory.parts[slot];
    for (int w = 1; w < warps; ++w) sum = add(sum, memory.parts[w * S::kUnitTiles * kWarp + slot]);
    const int tile_of_units = slot / kWarp, g = slot % kWarp / 4, t = slot % 4;
    const int unit = tile_of_units * kMmaColumns + 2 * t;
    const bool has_first = unit < ad.bottleneck, has_second = unit + 1 < ad.bottleneck;
    const float bias[2] = {has_first ? ad.down_b[unit] : 0.0f, has_second ? ad.down_b[unit + 1] : 0.0f};
#pragma unroll 1  // activations are long
    for (int half = 0; half < 2; ++half) {
      const int row = tile * kMmaRows + half * 8 + g;
      const float z[2] = {fmaf(half == 0 ? sum.x : sum.z, scale, bias[0]),
                          fmaf(half == 0 ? sum.y : sum.w, scale, bias[1])};
      if (ad.z && first + row < ad.rows) {
        Bf16* const to = ad.z + (first + row) * ad.bottleneck + unit;
        if (has_first) store(to, z[0]);
        if (has_second) store(to + 1, z[1]);
      }
      const float low = has_first ? activate(ad.activation, z[0]).y : 0.0f;
      const float high = has_second ? activate(ad.activation, z[1]).y : 0.0f;
      memory.hidden[hidden_word<S>(tile, tile_of_units, t, half, g)] = pack_pair(low, high);
    }
  }
}

// --- up ---

// A lane's share of s: rows g and g + 8 of each tile, 8 columns of each segment; element [2·half + i] of product j is
// column 2·j + i of the 8.
template <int kTiles>
struct Sums {
  float at[kTiles][kSegments][kColumnTiles][4];
};

// The 8 columns of a lane of one of the vectors that lie in shared memory.
struct Eight {
  template <class S>
  __device__ __forceinline__ Eight(const Memory<S>& memory, int vector, int column)
      : first(memory.vectors[(vector * S::kWarps * kWarpColumns + column) / kQuad]),
        second(memory.vectors[(vector * S::kWarps * kWarpColumns + column) / kQuad + 1]) {}

  __device__ __forceinline__ float operator[](int i) const {
    const float4 v = i < 4 ? first : second;
    return i % 4 < 2 ? (i % 4 == 0 ? v.x : v.y) : (i % 4 == 2 ? v.z : v.w);
  }
  float4 first, second;
};

// s = dropout(x) + residual + up_b; x is read once more, now as it is.
template <class S>
__device__ __forceinline__ void begin_sums(Sums<S::kTiles>& sums, const Memory<S>& memory,
                                           const Pieces<S::kTiles>& residual, const AdapterTensorForward& ad,
                                           int64_t first, uint64_t kept, const Place& place) {
#pragma unroll
  for (int s = 0; s < kSegments; ++s) {
    const Eight bias(memory, 0, place.column(s));
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const WidePiece x(ad, first + place.row(i, half), place.column(s));
        const float a[kPiece] = {x.low.x, x.low.y, x.low.z, x.low.w, x.high.x, x.high.y, x.high.z, x.high.w};
        const unsigned bits = kept_of_piece(kept, i, half, s);
#pragma unroll
        for (int j = 0; j < kColumnTiles; ++j) {
          const float2 r = unpack_pair(word(residual.at[i][half][s], j));
          const float low = bits >> (2 * j) & 1u ? a[2 * j] : 0.0f,
                      high = bits >> (2 * j + 1) & 1u ? a[2 * j + 1] : 0.0f;
          sums.at[i][s][j][2 * half] = fmaf(low, ad.scale, r.x + bias[2 * j]);
          sums.at[i][s][j][2 * half + 1] = fmaf(high, ad.scale, r.y + bias[2 * j + 1]);
        }
      }
    }
  }
}

template <class S>
__device__ __forceinline__ void up_product(Sums<S::kTiles>& sums, const Memory<S>& memory, const Place& place) {
  constexpr int kRowPieces = S::kUnits / kPiece;
#pragma unroll 1  // weights of both rounds at once would not fit into registers
  for (int depth = 0; depth < S::kUnits / kSegment; ++depth) {
    uint4 hidden[S::kTiles][2];
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
#pragma unroll
      for (int d = 0; d < 2; ++d) {
        hidden[i][d] =
            load_wide<uint4>(memory.hidden, ((i * (S::kUnits / kMmaDepth) + 2 * depth + d) * kWarp + place.lane) * 4);
      }
    }
#pragma unroll
    for (int s = 0; s < kSegments; ++s) {
#pragma unroll
      for (int j = 0; j < kColumnTiles; ++j) {
        const int row = place.g / 2 * kPiece + 2 * j + place.g % 2;  // of the segment: so lanes get columns in a row
        const int piece = row * kRowPieces + unit_piece<S>(row, depth * 4 + place.t);
        const uint4 w = weight<S>(memory, place, kSegments + s, piece);
#pragma unroll
        for (int i = 0; i < S::kTiles; ++i) {
          float(&c)[4] = sums.at[i][s][j];
          const uint4 h = hidden[i][0], next = hidden[i][1];
          multiply_add(c, {h.x, h.y, h.z, h.w}, w.x, w.y);
          multiply_add(c, {next.x, next.y, next.z, next.w}, w.z, w.w);
        }
      }
    }
  }
}

// --- LayerNorm ---

// Over the columns of each of a lane's rows, added by lanes of a row, then by warps in their order. `which`: 0 and 1
// take turns, so that one may be written while the other is read.
template <class S>
__device__ __forceinline__ void add_rows(float (&rows)[S::kTiles][2], Memory<S>& memory, int which,
                                         const Place& place) {
  const int warps = static_cast<int>(blockDim.x) / kWarp;
#pragma unroll
  for (int i = 0; i < S::kTiles; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float& sum = rows[i][half];
      sum += shuffle_xor(sum, 1);
      sum += shuffle_xor(sum, 2);
      if (place.t == 0) memory.sums[(which * S::kWarps + place.warp) * S::kRows + place.row(i, half)] = sum;
    }
  }
  sync_block();
#pragma unroll
  for (int i = 0; i < S::kTiles; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      float sum = 0.0f;
      for (int w = 0; w < warps; ++w) sum += memory.sums[(which * S::kWarps + w) * S::kRows + place.row(i, half)];
      rows[i][half] = sum;
    }
  }
}

// Centres s. Columns behind the last are zeros before, and stay so.
template <class S>
__device__ __forceinline__ void normalize_sums(Sums<S::kTiles>& sums, float (&rstd)[S::kTiles][2], Memory<S>& memory,
                                               const AdapterTensorForward& ad, const Place& place) {
  float mean[S::kTiles][2] = {}, square[S::kTiles][2] = {};
  const auto each_row = [&](auto body) {
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) body(i, half);
    }
  };
  const auto each_sum = [&](int i, int half, auto body) {
#pragma unroll
    for (int s = 0; s < kSegments; ++s) {
      if (place.column(s) >= ad.columns) continue;
#pragma unroll
      for (int j = 0; j < kColumnTiles; ++j) {
        body(sums.at[i][s][j][2 * half]);
        body(sums.at[i][s][j][2 * half + 1]);
      }
    }
  };
  each_row([&](int i, int half) { each_sum(i, half, [&](float& s) { mean[i][half] += s; }); });
  add_rows<S>(mean, memory, 0, place);
  each_row([&](int i, int half) {
    each_sum(i, half, [&](float& s) {
      s -= mean[i][half] * ad.inverse_columns;
      square[i][half] = fmaf(s, s, square[i][half]);
    });
  });
  add_rows<S>(square, memory, 1, place);
  each_row([&](int i, int half) { rstd[i][half] = rsqrtf(fmaf(square[i][half], ad.inverse_columns, ad.epsilon)); });
}

template <class S>
__device__ __forceinline__ void write_rows(const Sums<S::kTiles>& sums, const float (&rstd)[S::kTiles][2],
                                           const Memory<S>& memory, const AdapterTensorForward& ad, int64_t first,
                                           const Place& place) {
#pragma unroll
  for (int s = 0; s < kSegments; ++s) {
    const int column = place.column(s);
    if (column >= ad.columns) continue;
    const Eight gamma(memory, 1, column), beta(memory, 2, column);
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        const int64_t row = first + place.row(i, half);
        if (row >= ad.rows) continue;
        uint32_t xhat[kColumnTiles], y[kColumnTiles];
#pragma unroll
        for (int j = 0; j < kColumnTiles; ++j) {
          const float low = sums.at[i][s][j][2 * half] * rstd[i][half];
          const float high = sums.at[i][s][j][2 * half + 1] * rstd[i][half];
          xhat[j] = pack_pair(low, high);
          y[j] = pack_pair(fmaf(low, gamma[2 * j], beta[2 * j]), fmaf(high, gamma[2 * j + 1], beta[2 * j + 1]));
        }
        const int64_t at = row * ad.columns + column;
        if (ad.xhat) *reinterpret_cast<uint4*>(ad.xhat + at) = uint4{xhat[0], xhat[1], xhat[2], xhat[3]};
        *reinterpret_cast<uint4*>(ad.y + at) = uint4{y[0], y[1], y[2], y[3]};
        if (ad.rstd && place.warp == 0 && place.t == 0 && s == 0) ad.rstd[row] = rstd[i][half];
      }
    }
  }
}

// --- the kernel ---

template <class S>
__device__ __forceinline__ void load_vectors(Memory<S>& memory, const AdapterTensorForward& ad) {
  const float* const vectors[kVectors] = {ad.up_b, ad.gamma, ad.beta};
#pragma unroll
  for (int v = 0; v < kVectors; ++v) {
#pragma unroll 1
    for (int quad = static_cast<int>(threadIdx.x); quad < static_cast<int>(blockDim.x) * 2 / kQuad;
         quad += static_cast<int>(blockDim.x)) {
      memory.vectors[v * S::kWarps * kWarpColumns / kQuad + quad] =
          load_quad<false>(vectors[v], quad * kQuad, ad.columns);
    }
  }
}

template <class S>
__global__ void __launch_bounds__(S::kWarps* kWarp, S::kBlocks) adapter_tensor_kernel(AdapterTensorForward ad) {
  auto& memory = shared<Memory<S>>();
  Place place(threadIdx.x);
  copy_parts<S>(memory, ad, 0, place);
  if (S::kResident) copy_parts<S>(memory, ad, kSegments, place);
  load_vectors<S>(memory, ad);
  const int tiles = static_cast<int>((ad.rows + S::kRows - 1) / S::kRows);
  for (int tile = static_cast<int>(blockIdx.x); tile < tiles;) {
    const int next = tile + static_cast<int>(gridDim.x);
    place = place.again();
    const int64_t first = int64_t{tile} * S::kRows;
    Pieces<S::kTiles> x, residual;
    fetch_x(x, ad, first, place);
    uint64_t kept = ~uint64_t{0};
    if (ad.dropout.p > 0.0f) {
      kept = kept_elements<S::kTiles>(ad, first, place);
      drop(x, kept);
    }
    if (next < tiles) prefetch_rows<S::kTiles>(ad, int64_t{next} * S::kRows, place);
    wait_for_parts();
#pragma unroll
    for (int i = 0; i < S::kTiles; ++i) {
      if (i > 0) sync_block();  // for readers of the parts before
      if (i + 1 == S::kTiles) fetch_residual(residual, ad, first, place);
      down_product<S>(memory, x, i, place);
      sync_block();
      if (!S::kResident && i + 1 == S::kTiles) copy_parts<S>(memory, ad, kSegments, place);
      add_parts<S>(memory, ad, first, i, ad.scale);
    }
    Sums<S::kTiles> sums;
    begin_sums<S>(sums, memory, residual, ad, first, kept, place);
    wait_for_parts();
    sync_block();  // for the hidden units
    place = place.again();
    up_product<S>(sums, memory, place);
    sync_warp();
    if (!S::kResident && next < tiles) copy_parts<S>(memory, ad, 0, place);
    place = place.again();
    float rstd[S::kTiles][2];
    normalize_sums<S>(sums, rstd, memory, ad, place);
    write_rows<S>(sums, rstd, memory, ad, first, place);
    tile = next;
  }
  wait_for_copies<0>();
}

template <class S>
void start(Stream& stream, const char* name, AdapterTensorForward ad) {
  ad.scale = 1.0f / (1.0f - ad.dropout.p);
  ad.inverse_columns = 1.0f / static_cast<float>(ad.columns);
  const int64_t tiles = (ad.rows + S::kRows - 1) / S::kRows;
  const auto room = static_cast<int64_t>(stream.shared_limit() / sizeof(Memory<S>));  // at least one
  const int64_t most = stream.multiprocessors() * (room < S::kBlocks ? room : S::kBlocks);
  const unsigned blocks = static_cast<unsigned>(tiles < most ? tiles : most);
  launch(stream, {name, dim3(blocks), dim3(blocks_for(ad.columns, kWarpColumns) * kWarp), sizeof(Memory<S>)},
         adapter_tensor_kernel<S>, ad);
}

// Calls body with the first shape that takes C and M and that fits into so much shared memory; false where none does.
template <class Body>
bool with_shape(int64_t columns, int64_t units, size_t shared_limit, const Body& body) {
  const auto fits = [&](auto shape) {
    using S = decltype(shape);
    if (columns > S::kWarps * kWarpColumns || units > S::kUnits || sizeof(Memory<S>) > shared_limit) return false;
    body(shape);
    return true;
  };
  return fits(Shape<32, 6, 1, 2, true>{}) || fits(Shape<64, 6, 1, 2, true>{}) || fits(Shape<32, 12, 1, 1, true>{}) ||
         fits(Shape<64, 12, 2, 1, false>{}) || fits(Shape<32, 16, 1, 1, true>{}) ||
         fits(Shape<32, 16, 1, 1, false>{}) || fits(Shape<64, 16, 1, 1, false>{});
}

}  // namespace adapter_tensor

// Whether the kernel takes these widths on a GPU with so much shared memory for a block.
inline bool has_adapter_tensor(int64_t columns, int64_t bottleneck, size_t shared_limit) {
  return adapter_tensor::with_shape(columns, bottleneck, shared_limit, [](auto) {});
}

// Whether rows of these matrices are whole pieces, aligned to 16 bytes. Absent ones (null) do not matter.
inline bool has_whole_pieces(int64_t columns, std::initializer_list<const void*> matrices) {
  bool whole = columns % adapter_tensor::kPiece == 0;
  for (const void* matrix : matrices) whole &= reinterpret_cast<uintptr_t>(matrix) % kCopyBytes == 0;
  return whole;
}

// Where has_adapter_tensor(), and has_whole_pieces() of y, xhat, x, residual, down_w and up_w.
inline void adapter_forward_tensor(Stream& stream, const char* name, const AdapterTensorForward& ad) {
  adapter_tensor::with_shape(ad.columns, ad.bottleneck, stream.shared_limit(),
                             [&](auto shape) { adapter_tensor::start<decltype(shape)>(stream, name, ad); });
}

}  // namespace oa::cuda
