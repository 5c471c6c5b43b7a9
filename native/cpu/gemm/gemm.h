// Matrix products on the CPU, one definition per instruction set (this header is included with OA_ISA defined).
// All matrices are f32, row-major; leading dimensions count floats.
#pragma once

#include <cstdint>

#include "base/thread_pool.h"

namespace oa::OA_ISA {

// What happens to a product before it is stored; every field optional. With acc the plain product:
//   u = acc + bias[n];  y = activation(u);  derivative[m,n] = activation'(u)  (when asked);
//   y = y * mul[m,n];   y = y + add[m,n]
struct Epilogue {
  const float* bias = nullptr;  // [N]
  int activation = 0;           // numbers of OA_FOR_EACH_ACTIVATION
  float* derivative = nullptr;  // [M, N], leading dimension = that of y
  const float* mul = nullptr;   // [M, N], leading dimension = that of y
  const float* add = nullptr;   // [M, N], leading dimension = that of y
};

// Floats that B[K, N] takes when packed in panels of NR columns (zero-padded to whole panels).
int64_t packed_floats(int64_t n, int64_t k);

// Packs B[k][n] = source[n * stride_n + k * stride_k]. `pool` may be null (one thread). 64-byte aligned destination.
void pack(ThreadPool* pool, float* packed, const float* source, int64_t n, int64_t k, int64_t stride_n,
          int64_t stride_k);

// y[M,N] = epilogue(x[M,K] · B), split over the pool by shape alone.
void gemm_packed(ThreadPool& pool, float* y, int64_t ldy, const float* x, int64_t ldx, const float* packed, int64_t m,
                 int64_t n, int64_t k, const Epilogue& epilogue);

// The same for a small block of rows on the calling thread: the building brick of fused ops.
void gemm_packed_rows(float* y, int64_t ldy, const float* x, int64_t ldx, const float* packed, int64_t m, int64_t n,
                      int64_t k, const Epilogue& epilogue);

// c[M,N] = (accumulate ? c : 0) + scale · Σ_k a[m*a_row + k*a_k] · b[k*b_k + n] on the calling thread; b's columns
// are contiguous, a has any strides. For attention and for weight gradients, where nothing is prepacked.
void gemm_strided(float* c, int64_t ldc, const float* a, int64_t a_row, int64_t a_k, const float* b, int64_t b_k,
                  int64_t m, int64_t n, int64_t k, float scale, bool accumulate);

// dw[N,K] = dyᵀ[N,T] · x[T,K]: cut into tiles of dw, each summing all tokens in order, so the split never changes
// the result. With T = 0, zeros.
void gemm_weight_gradient(ThreadPool& pool, float* dw, const float* dy, int64_t ld_dy, const float* x, int64_t ldx,
                          int64_t tokens, int64_t n, int64_t k);

}  // namespace oa::OA_ISA
