// The part of cuBLASLt that this package calls, declared here so that it builds without the library's headers. The
// library is opened at run time (cublaslt.cc). Where the real header is at hand, cublaslt_api_check.cu compares them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace oa::cuda {

using BlasStatus = int;
constexpr BlasStatus kBlasSuccess = 0;
constexpr BlasStatus kBlasNotSupported = 15;

enum class BlasType : int { f32 = 0, bf16 = 14 };                         // cudaDataType
enum class BlasCompute : int { f32 = 68, tf32 = 77 };                     // cublasComputeType_t
enum class BlasTranspose : int { no = 0, yes = 1 };                       // cublasOperation_t
enum class BlasDescAttribute : int { transpose_a = 3, transpose_b = 4 };  // cublasLtMatmulDescAttributes_t
enum class BlasPreferenceAttribute : int {                                // cublasLtMatmulPreferenceAttributes_t
  workspace_bytes = 1,
  reduction_schemes = 3,
  alignment_a = 5,
  alignment_b = 6,
  alignment_c = 7,
  alignment_d = 8
};

// Ways to add up a product that was split along its depth: each gives the same bits every time, unlike adding in place.
// Partial sums of a split depth: in the compute type, or in the output's, where that is as exact.
constexpr uint32_t kBlasReduceInCompute = 0x2;
constexpr uint32_t kBlasReduceInOutput = 0x4;

struct BlasAlgorithm {
  uint64_t data[8];
};
struct BlasHeuristic {
  BlasAlgorithm algorithm;
  size_t workspace_bytes;
  BlasStatus state;
  float waves;
  int reserved[4];
};

struct BlasHandleBody;
struct BlasDescBody;
struct BlasLayoutBody;
struct BlasPreferenceBody;
using BlasHandle = BlasHandleBody*;
using BlasDesc = BlasDescBody*;
using BlasLayout = BlasLayoutBody*;
using BlasPreference = BlasPreferenceBody*;

// BLAS(member, exported name, return type, parameters)
#define OA_FOR_EACH_CUBLASLT(BLAS)                                                                                     \
  BLAS(version, cublasLtGetVersion, size_t, ())                                                                        \
  BLAS(create, cublasLtCreate, BlasStatus, (BlasHandle*))                                                              \
  BLAS(destroy, cublasLtDestroy, BlasStatus, (BlasHandle))                                                             \
  BLAS(create_desc, cublasLtMatmulDescCreate, BlasStatus, (BlasDesc*, BlasCompute, BlasType))                          \
  BLAS(destroy_desc, cublasLtMatmulDescDestroy, BlasStatus, (BlasDesc))                                                \
  BLAS(set_desc, cublasLtMatmulDescSetAttribute, BlasStatus, (BlasDesc, BlasDescAttribute, const void*, size_t))       \
  BLAS(create_layout, cublasLtMatrixLayoutCreate, BlasStatus, (BlasLayout*, BlasType, uint64_t, uint64_t, int64_t))    \
  BLAS(destroy_layout, cublasLtMatrixLayoutDestroy, BlasStatus, (BlasLayout))                                          \
  BLAS(create_preference, cublasLtMatmulPreferenceCreate, BlasStatus, (BlasPreference*))                               \
  BLAS(destroy_preference, cublasLtMatmulPreferenceDestroy, BlasStatus, (BlasPreference))                              \
  BLAS(set_preference, cublasLtMatmulPreferenceSetAttribute, BlasStatus,                                               \
       (BlasPreference, BlasPreferenceAttribute, const void*, size_t))                                                 \
  BLAS(choose, cublasLtMatmulAlgoGetHeuristic, BlasStatus,                                                             \
       (BlasHandle, BlasDesc, BlasLayout, BlasLayout, BlasLayout, BlasLayout, BlasPreference, int, BlasHeuristic*,     \
        int*))                                                                                                         \
  BLAS(multiply, cublasLtMatmul, BlasStatus,                                                                           \
       (BlasHandle, BlasDesc, const void*, const void*, BlasLayout, const void*, BlasLayout, const void*, const void*, \
        BlasLayout, void*, BlasLayout, const BlasAlgorithm*, void*, size_t, void*))

// The library's functions, called through these pointers.
struct CublasLt {
#define OA_CUBLASLT_MEMBER(member, symbol, type, parameters) type(*member) parameters = nullptr;
  OA_FOR_EACH_CUBLASLT(OA_CUBLASLT_MEMBER)
#undef OA_CUBLASLT_MEMBER
};

}  // namespace oa::cuda
