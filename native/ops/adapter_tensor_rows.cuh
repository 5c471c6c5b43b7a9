// What the kernel of adapter_tensor.cuh is made of: its operands, who owns which rows and columns, and the 16-byte
// pieces in which rows come from memory; the head of that file says why.
#pragma once

#include "cuda/activations.cuh"
#include "cuda/async.cuh"
#include "cuda/launch.cuh"
#include "cuda/mma.cuh"
#include "cuda/philox.cuh"
#include "cuda/quad.cuh"
#include "cuda/shared.cuh"
#include "cuda/warp.cuh"

namespace oa::cuda {

struct AdapterTensorForward {
  Bf16* y;               // [T, C]
  Bf16* xhat;            // [T, C] or null
  float* rstd;           // [T] or null
  Bf16* z;               // [T, M] or null
  const float* x;        // [T, C]
  const Bf16* residual;  // [T, C]
  const Bf16* down_w;    // [M, C]
  const float* down_b;   // [M]
  const Bf16* up_w;      // [C, up_stride]: rows of M, a multiple of 8 apart, zeros behind M
  const float* up_b;     // [C]
  const float* gamma;    // [C]
  const float* beta;     // [C]
  int64_t rows;
  int columns;     // C
  int bottleneck;  // M
  int up_stride;
  int activation;
  float epsilon;
  Dropout dropout;
  // Set by the launcher: divisions cost a GPU registers.
  float scale;            // of what dropout keeps
  float inverse_columns;  // 1 / C
};

namespace adapter_tensor {

constexpr int kSegment = 32;  // columns that are dealt out to lanes together
constexpr int kSegments = 2;
constexpr int kWarpColumns = kSegments * kSegment;
constexpr int kPiece = 8;                             // bf16 of 16 bytes
constexpr int kColumnTiles = kSegment / kMmaColumns;  // of a segment of the second product
constexpr int kVectors = 3;                           // up_b, gamma, beta

// Units: hidden ones, rounded up. Warps: the most of a block. Tiles: of 16 rows, that a block takes at a time: two
// where weights are copied for every tile, to halve what they cost, as far as registers admit it. Blocks: of a
// multiprocessor, for the compiler.
template <int kUnits_, int kWarps_, int kTiles_, int kBlocks_, bool kResident_>
struct Shape {
  static constexpr int kUnits = kUnits_;
  static constexpr int kWarps = kWarps_;
  static constexpr int kTiles = kTiles_;
  static constexpr int kRows = kTiles * kMmaRows;
  static constexpr int kBlocks = kBlocks_;
  static constexpr bool kResident = kResident_;
  static constexpr int kUnitTiles = kUnits / kMmaColumns;
  static constexpr int kPartPieces = kUnits * kSegment / kPiece;  // of a part of the weights
  static constexpr int kStages = kResident ? 2 * kSegments : kSegments;
};

template <class S>
struct Memory {
  SharedArray<uint4, S::kWarps * S::kStages * S::kPartPieces> weights;
  SharedArray<float4, S::kWarps * S::kUnitTiles * kWarp> parts;        // of z, as products leave them
  alignas(16) SharedArray<uint32_t, S::kRows * S::kUnits / 2> hidden;  // by fragments, see hidden_word
  SharedArray<float4, kVectors * S::kWarps * kWarpColumns / kQuad> vectors;
  SharedArray<float, 2 * S::kWarps * S::kRows> sums;
};

// Which rows and columns a lane has.
struct Place {
  __device__ __forceinline__ explicit Place(unsigned thread)
      : lane(static_cast<int>(thread) % kWarp),
        warp(static_cast<int>(thread) / kWarp),
        g(lane / 4),
        t(lane % 4),
        first(warp * kWarpColumns) {}

  // The same, but by a shuffle, so that the compiler does not know it: else it keeps the addresses of all rows and
  // pieces from tile to tile, in registers that it does not have, and spills others.
  __device__ __forceinline__ Place again() const { return Place(shuffle(threadIdx.x, lane)); }

  __device__ __forceinline__ int column(int segment) const { return first + segment * kSegment + t * kPiece; }
  __device__ __forceinline__ int row(int tile, int half) const { return tile * kMmaRows + half * 8 + g; }

  int lane, warp;
  int g, t;
  int first;  // column of the warp
};

// The 16-byte pieces of a lane's rows and segments.
template <int kTiles>
struct Pieces {
  uint4 at[kTiles][2][kSegments];
};

__device__ __forceinline__ uint32_t word(uint4 piece, int i) {
  return i < 2 ? (i == 0 ? piece.x : piece.y) : (i == 2 ? piece.z : piece.w);
}

// Rows of kUnits hidden units, 16 bytes a piece, so that neighbouring rows lie in different banks.
template <class S>
__device__ __forceinline__ int unit_piece(int row, int piece) {
  return S::kUnits == 64 ? piece ^ (row % 2 * 4) : piece;
}

// Calls body(i, half, s) for all pieces of a lane.
template <int kTiles, class Body>
__device__ __forceinline__ void each_piece(const Body& body) {
#pragma unroll
  for (int i = 0; i < kTiles; ++i) {
#pragma unroll
    for (int half = 0; half < 2; ++half) {
#pragma unroll
      for (int s = 0; s < kSegments; ++s) body(i, half, s);
    }
  }
}

__device__ __forceinline__ bool exists(const AdapterTensorForward& ad, int64_t row, int column) {
  return row < ad.rows && column < ad.columns;
}

// x in f32, of one piece; zeros where there is none.
struct WidePiece {
  __device__ __forceinline__ WidePiece(const AdapterTensorForward& ad, int64_t row, int column) {
    if (!exists(ad, row, column)) return;
    const auto* const from = reinterpret_cast<const float4*>(ad.x + row * ad.columns + column);
    low = from[0];
    high = from[1];
  }
  float4 low = {}, high = {};
};

// x rounded, as the first product reads it.
template <int kTiles>
__device__ __forceinline__ void fetch_x(Pieces<kTiles>& pieces, const AdapterTensorForward& ad, int64_t first,
                                        const Place& place) {
  each_piece<kTiles>([&](int i, int half, int s) {
    const WidePiece x(ad, first + place.row(i, half), place.column(s));
    pieces.at[i][half][s] = {pack_pair(x.low.x, x.low.y), pack_pair(x.low.z, x.low.w), pack_pair(x.high.x, x.high.y),
                             pack_pair(x.high.z, x.high.w)};
  });
}

template <int kTiles>
__device__ __forceinline__ void fetch_residual(Pieces<kTiles>& pieces, const AdapterTensorForward& ad, int64_t first,
                                               const Place& place) {
  each_piece<kTiles>([&](int i, int half, int s) {
    const int64_t row = first + place.row(i, half);
    const int column = place.column(s);
    pieces.at[i][half][s] =
        exists(ad, row, column) ? *reinterpret_cast<const uint4*>(ad.residual + row * ad.columns + column) : uint4{};
  });
}

// Rows of a tile to come; a segment of x is a line of 128 bytes.
template <int kTiles>
__device__ __forceinline__ void prefetch_rows(const AdapterTensorForward& ad, int64_t first, const Place& place) {
  each_piece<kTiles>([&](int i, int half, int s) {
    const int64_t row = first + place.row(i, half);
    const int column = place.column(s);
    if (!exists(ad, row, column)) return;
    if (place.t == 0) prefetch(ad.x + row * ad.columns + column);
    if (place.t == 1 && s == 0) prefetch(ad.residual + row * ad.columns + column);
  });
}

// Which elements of a lane's pieces dropout keeps, a bit each: 8 a piece, in the order of each_piece. A loop that is
// not unrolled: else its numbers would take most of the registers, and of the instruction cache.
template <int kTiles>
__device__ __forceinline__ uint64_t kept_elements(const AdapterTensorForward& ad, int64_t first, const Place& place) {
  const DropoutMask mask(ad.dropout.p, ad.dropout.rng, ad.dropout.scalars);  // here: to keep it costs registers
  uint64_t kept = 0;
#pragma unroll 1
  for (int i = 0; i < kTiles * 2 * kSegments; ++i) {
    const int64_t row = first + place.row(i / (2 * kSegments), i / kSegments % 2);
    const auto block = static_cast<unsigned>((row * ad.columns + place.column(i % kSegments)) / 4);
    const float4 low = mask.four(block, 0), high = mask.four(block + 1, 0);
    const auto bit = [](float factor, int place_of_it) { return factor > 0 ? 1u << place_of_it : 0u; };
    const unsigned bits = bit(low.x, 0) | bit(low.y, 1) | bit(low.z, 2) | bit(low.w, 3) | bit(high.x, 4) |
                          bit(high.y, 5) | bit(high.z, 6) | bit(high.w, 7);
    kept |= uint64_t{bits} << (kPiece * i);
  }
  return kept;
}

__device__ __forceinline__ unsigned kept_of_piece(uint64_t kept, int i, int half, int s) {
  return static_cast<unsigned>(kept >> (kPiece * ((i * 2 + half) * kSegments + s))) & 0xffu;
}

// Elements that dropout takes away become zeros; those that stay are still to be multiplied by its scale.
template <int kTiles>
__device__ __forceinline__ void drop(Pieces<kTiles>& pieces, uint64_t kept) {
  each_piece<kTiles>([&](int i, int half, int s) {
    const unsigned bits = kept_of_piece(kept, i, half, s);
    const auto keep = [&](int pair) {
      return (bits >> (2 * pair) & 1u) * 0xffffu | (bits >> (2 * pair + 1) & 1u) * 0xffff0000u;
    };
    uint4& piece = pieces.at[i][half][s];
    piece = {piece.x & keep(0), piece.y & keep(1), piece.z & keep(2), piece.w & keep(3)};
  });
}

}  // namespace adapter_tensor

}  // namespace oa::cuda
