// Products on tensor cores, by whole warps: c[16, 8] += a[16, 16] · b[16, 8], bf16 in, f32 sums, and the loads that
// bring matrices from shared memory into the lanes that need them. sm_80 and up.
//
// What lane 4·g + t (g < 8, t < 4) holds, as PTX has it ("mma.m16n8k16", "ldmatrix"); a pair is two bf16 in a word, the
// first one in its lower half:
//   a[0]  row g,      columns 2·t, 2·t + 1        a[2]  row g,      columns 2·t + 8, 2·t + 9
//   a[1]  row g + 8,  columns 2·t, 2·t + 1        a[3]  row g + 8,  columns 2·t + 8, 2·t + 9
//   b[0]  column g,   rows 2·t, 2·t + 1           b[1]  column g,   rows 2·t + 8, 2·t + 9
//   c[0], c[1]  row g, columns 2·t, 2·t + 1       c[2], c[3]  row g + 8, the same columns
// The sums of two neighbouring products, columns 0 to 7 and 8 to 15, therefore lie where the pairs of a lie.
//
// Any order of the 16 that are summed over is right, as long as a and b agree; so are rows
// of a and columns of b, as long as whoever reads c knows it.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/bf16.cuh"
#include "cuda/shared.cuh"

namespace oa::cuda {

constexpr int kMmaRows = 16;    // of a and c
constexpr int kMmaColumns = 8;  // of b and c
constexpr int kMmaDepth = 16;   // columns of a, rows of b
constexpr int kMatrixRows = 8;  // of what load_matrices takes: 8 rows of 8 elements
constexpr int kMatrixColumns = 8;

#ifdef OA_CUDA_STANDIN

inline void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1,
                         const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  standin::multiply_add(c, a, b0, b1, file, line);
}

template <int N>
void load_matrices(uint32_t (&values)[4], const SharedArray<Bf16, N>& array, int row,
                   const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  standin::load_matrices(values, array.at(row, kMatrixColumns), false, file, line);
}

template <int N>
void load_transposed(uint32_t (&values)[4], const SharedArray<Bf16, N>& array, int row,
                     const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
  standin::load_matrices(values, array.at(row, kMatrixColumns), true, file, line);
}

#else

// c += a · b. Volatile: all lanes must be there, so it may not be moved to where some need its result.
__device__ __forceinline__ void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four matrices of 8 rows of 8 elements. Lane l gives where row l % 8 of matrix l / 8 lies, 16 bytes aligned to them;
// lane 4·g + t gets elements 2·t and 2·t + 1 of row g of matrix i in values[i].
template <int N>
__device__ __forceinline__ void load_matrices(uint32_t (&values)[4], const SharedArray<Bf16, N>& array, int row) {
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(&array[row]));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(values[0]), "=r"(values[1]), "=r"(values[2]), "=r"(values[3])
               : "r"(from)
               : "memory");
}

// The same, but lane 4·g + t gets elements g of the rows 2·t and 2·t + 1.
template <int N>
__device__ __forceinline__ void load_transposed(uint32_t (&values)[4], const SharedArray<Bf16, N>& array, int row) {
  const auto from = static_cast<uint32_t>(__cvta_generic_to_shared(&array[row]));
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(values[0]), "=r"(values[1]), "=r"(values[2]), "=r"(values[3])
               : "r"(from)
               : "memory");
}

#endif

}  // namespace oa::cuda
