// Matrix products of a GPU by cuBLASLt, which is opened at the first use: a binary with CUDA loads where it is absent.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <type_traits>

#include "cuda/cublaslt_api.h"

namespace oa::cuda {

// How products read f32 operands. Those in bf16 are read as they are.
enum class Precision { fp32, tf32 };

struct Bf16;  // cuda/bf16.cuh

// Where a matrix lies, and what its elements are.
template <class Pointer>
struct Typed {
  Typed() = default;
  template <class Other>
    requires(!std::is_same_v<Other, Pointer> && std::is_convertible_v<Other, Pointer>)
  Typed(const Typed<Other>& other) : data(other.data), type(other.type) {}
  template <class T>
    requires std::is_same_v<std::remove_const_t<T>, float> || std::is_same_v<std::remove_const_t<T>, Bf16>
  Typed(T* elements)
      : data(elements), type(std::is_same_v<std::remove_const_t<T>, float> ? BlasType::f32 : BlasType::bf16) {}

  Pointer data = nullptr;
  BlasType type = BlasType::f32;
};

// c[rows, columns] = a[rows, depth] · b[depth, columns], or c += with `accumulate`; all row major and dense, added in
// f32. a and b are of one type; c is of the same, or f32.
struct Product {
  Typed<void*> c;
  Typed<const void*> a;
  Typed<const void*> b;
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t depth = 0;
  bool transpose_a = false;  // a is stored as [depth, rows]
  bool transpose_b = false;  // b is stored as [columns, depth]
  bool accumulate = false;
};

// The library, or why it cannot be used: what was sought, where, what to do. Opened once a process.
struct CublasLtLibrary {
  CublasLt functions;
  std::string problem;  // empty when all is well
};
const CublasLtLibrary& cublaslt();
// "13.1.0"; empty where it cannot be used.
std::string cublaslt_version();

// Products on one stream. Descriptors and algorithm of a shape are chosen once and kept.
class Multiplier {
 public:
  // `workspace` of `workspace_bytes` belongs to this stream alone. Throws ERR_DEVICE where the library is missing.
  Multiplier(Precision precision, void* workspace, size_t workspace_bytes);
  ~Multiplier();
  Multiplier(const Multiplier&) = delete;
  Multiplier& operator=(const Multiplier&) = delete;

  // Throws ERR_DEVICE naming the shape where the library refuses.
  void multiply(cudaStream_t stream, const Product& product);

 private:
  struct Shape;
  struct Plan;
  const Plan& plan_for(const Product& product);

  const CublasLt& blas_;
  Precision precision_;
  void* workspace_;
  size_t workspace_bytes_;
  BlasHandle handle_ = nullptr;
  std::map<Shape, std::unique_ptr<Plan>> plans_;
};

}  // namespace oa::cuda
