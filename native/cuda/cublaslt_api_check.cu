// Compiled only where the real header is: what cublaslt_api.h declares must be what the library has.
#if __has_include(<cublasLt.h>)
#include <cublasLt.h>

#include "cuda/cublaslt_api.h"

namespace oa::cuda {

static_assert(kBlasSuccess == CUBLAS_STATUS_SUCCESS && kBlasNotSupported == CUBLAS_STATUS_NOT_SUPPORTED);
static_assert(int(BlasType::f32) == CUDA_R_32F && int(BlasType::bf16) == CUDA_R_16BF);
static_assert(int(BlasCompute::f32) == CUBLAS_COMPUTE_32F && int(BlasCompute::tf32) == CUBLAS_COMPUTE_32F_FAST_TF32);
static_assert(int(BlasTranspose::no) == CUBLAS_OP_N && int(BlasTranspose::yes) == CUBLAS_OP_T);
static_assert(int(BlasDescAttribute::transpose_a) == CUBLASLT_MATMUL_DESC_TRANSA);
static_assert(int(BlasDescAttribute::transpose_b) == CUBLASLT_MATMUL_DESC_TRANSB);
static_assert(int(BlasPreferenceAttribute::workspace_bytes) == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
static_assert(int(BlasPreferenceAttribute::reduction_schemes) == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
static_assert(int(BlasPreferenceAttribute::alignment_a) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
static_assert(int(BlasPreferenceAttribute::alignment_b) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
static_assert(int(BlasPreferenceAttribute::alignment_c) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
static_assert(int(BlasPreferenceAttribute::alignment_d) == CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
static_assert(kBlasReduceInCompute == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
static_assert(kBlasReduceInOutput == CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE);
static_assert(sizeof(BlasAlgorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(BlasHeuristic) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(BlasHeuristic, workspace_bytes) == offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(BlasHeuristic, state) == offsetof(cublasLtMatmulHeuristicResult_t, state));

}  // namespace oa::cuda
#endif
