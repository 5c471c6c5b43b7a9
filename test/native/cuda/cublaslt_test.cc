// Calls of cuBLASLt that are wrong in one way each, beside the right one: the stand-in refuses what the library
// refuses, and a wrong layout that is no error gives a wrong product.
#include <cmath>
#include <string>
#include <vector>

#include "../check.h"
#include "base/error.h"
#include "cuda/bf16.cuh"
#include "cuda/check.h"
#include "cuda/cublaslt.h"
#include "cuda/stream.h"

namespace oa::selftest {
namespace {

using namespace oa::cuda;

constexpr int64_t kRows = 3, kColumns = 5, kDepth = 4;  // of c = a·b, column major
constexpr BlasStatus kInvalidValue = 7;

// One product with every step of its set-up within reach.
struct Attempt {
  BlasType type = BlasType::f32;  // of a and b
  BlasType c_type = BlasType::f32;
  BlasType b_type = type;
  BlasCompute compute = BlasCompute::f32;
  BlasTranspose transpose_a = BlasTranspose::no;  // at the choice and the product
  int64_t a_rows = kRows, a_leading = kRows, b_rows = kDepth, c_leading = kRows;
  size_t workspace_bytes = size_t{4} << 20;  // promised at the choice
  uint32_t alignment = 16;                   // promised at the choice
  int64_t offset = 0;                        // floats between a and the alignment
  bool has_workspace = true;
  size_t given_workspace_bytes = size_t{4} << 20;
  bool mixes_up = false;  // takes the algorithm of another shape

  BlasStatus choice = kBlasSuccess, product = kBlasSuccess;
  std::vector<float> c{};
};

float a_value(int64_t row, int64_t k) { return static_cast<float>(row + 10 * k); }
float b_value(int64_t k, int64_t column) { return static_cast<float>(2 * k - column); }

class Library {
 public:
  Library() {
    blas_.create(&handle_);
    cuda::check(cudaMalloc(reinterpret_cast<void**>(&data_), 3 * kPart * sizeof(float)), "a test");
    cuda::check(cudaMalloc(&workspace_, size_t{4} << 20), "a test");
    std::vector<float> values(3 * kPart);
    for (int64_t k = 0; k < kDepth; ++k) {
      for (int64_t i = 0; i < kRows; ++i) values[static_cast<size_t>(i + k * kRows)] = a_value(i, k);
      for (int64_t j = 0; j < kColumns; ++j) values[static_cast<size_t>(kPart + k + j * kDepth)] = b_value(k, j);
    }
    cuda::check(cudaMemcpy(data_, values.data(), values.size() * sizeof(float), cudaMemcpyHostToDevice), "a test");
  }
  ~Library() {
    cudaFree(data_);
    cudaFree(workspace_);
    blas_.destroy(handle_);
  }
  Library(const Library&) = delete;
  Library& operator=(const Library&) = delete;

  void run(Attempt& attempt) {
    BlasDesc desc = nullptr;
    BlasLayout a = nullptr, b = nullptr, c = nullptr;
    blas_.create_desc(&desc, attempt.compute, BlasType::f32);
    blas_.set_desc(desc, BlasDescAttribute::transpose_a, &attempt.transpose_a, sizeof attempt.transpose_a);
    const int64_t a_columns = kRows * kDepth / attempt.a_rows;
    blas_.create_layout(&a, attempt.type, static_cast<uint64_t>(attempt.a_rows), static_cast<uint64_t>(a_columns),
                        attempt.a_leading);
    blas_.create_layout(&b, attempt.b_type, static_cast<uint64_t>(attempt.b_rows), kColumns, attempt.b_rows);
    blas_.create_layout(&c, attempt.c_type, kRows, kColumns, attempt.c_leading);
    BlasHeuristic best{};
    attempt.choice = choose(attempt, desc, a, b, c, best);
    if (attempt.mixes_up) {
      Attempt other;
      other.transpose_a = BlasTranspose::yes;
      other.a_rows = other.a_leading = kDepth;
      BlasDesc other_desc = nullptr;
      blas_.create_desc(&other_desc, BlasCompute::f32, BlasType::f32);
      blas_.set_desc(other_desc, BlasDescAttribute::transpose_a, &other.transpose_a, sizeof other.transpose_a);
      BlasLayout other_a = nullptr;
      blas_.create_layout(&other_a, BlasType::f32, kDepth, kRows, kDepth);
      OA_CHECK(choose(other, other_desc, other_a, b, c, best) == kBlasSuccess);
      blas_.destroy_layout(other_a);
      blas_.destroy_desc(other_desc);
    }
    if (attempt.choice == kBlasSuccess) multiply(attempt, desc, a, b, c, best);
    for (BlasLayout layout : {a, b, c}) blas_.destroy_layout(layout);
    blas_.destroy_desc(desc);
  }

 private:
  static constexpr int64_t kPart = 64;  // floats of a, b and c

  BlasStatus choose(const Attempt& attempt, BlasDesc desc, BlasLayout a, BlasLayout b, BlasLayout c,
                    BlasHeuristic& best) {
    BlasPreference preference = nullptr;
    blas_.create_preference(&preference);
    const auto set = [&](BlasPreferenceAttribute attribute, const auto& value) {
      blas_.set_preference(preference, attribute, &value, sizeof value);
    };
    set(BlasPreferenceAttribute::workspace_bytes, attempt.workspace_bytes);
    set(BlasPreferenceAttribute::alignment_a, attempt.alignment);
    int found = 0;
    const BlasStatus status = blas_.choose(handle_, desc, a, b, c, c, preference, 1, &best, &found);
    OA_CHECK((status == kBlasSuccess) == (found == 1));
    blas_.destroy_preference(preference);
    return status;
  }

  void multiply(Attempt& attempt, BlasDesc desc, BlasLayout a, BlasLayout b, BlasLayout c, const BlasHeuristic& best) {
    const float one = 1, zero = 0;
    float* const out = data_ + 2 * kPart;
    cuda::check(cudaMemset(out, 0, kPart * sizeof(float)), "a test");
    attempt.product = blas_.multiply(handle_, desc, &one, data_ + attempt.offset, a, data_ + kPart, b, &zero, out, c,
                                     out, c, &best.algorithm, attempt.has_workspace ? workspace_ : nullptr,
                                     attempt.given_workspace_bytes, stream_.handle());
    stream_.wait();
    attempt.c.resize(kRows * kColumns);
    cuda::check(cudaMemcpy(attempt.c.data(), out, attempt.c.size() * sizeof(float), cudaMemcpyDeviceToHost), "a test");
  }

  const CublasLt& blas_ = cublaslt().functions;
  Stream stream_{0, Precision::fp32};
  BlasHandle handle_ = nullptr;
  float* data_ = nullptr;
  void* workspace_ = nullptr;
};

Attempt attempt(const Attempt& wanted) {
  Library library;
  Attempt made = wanted;
  library.run(made);
  return made;
}

bool is_product(const std::vector<float>& c) {
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kColumns; ++j) {
      float sum = 0;
      for (int64_t k = 0; k < kDepth; ++k) sum += a_value(i, k) * b_value(k, j);
      if (c[static_cast<size_t>(i + j * kRows)] != sum) return false;
    }
  }
  return true;
}

void right_calls_pass() {
  const Attempt right = attempt({});
  OA_CHECK(right.choice == kBlasSuccess && right.product == kBlasSuccess && is_product(right.c));
}

void wrong_leading_dimensions_are_refused() {
  OA_CHECK(attempt({.a_leading = kRows - 1}).choice == kInvalidValue);
  OA_CHECK(attempt({.c_leading = kRows - 1}).choice == kInvalidValue);
}

// Room enough from column to column is no error: the numbers show it.
void leading_dimensions_that_fit_give_other_products() {
  const Attempt wrong = attempt({.a_leading = kRows + 1});
  OA_CHECK(wrong.product == kBlasSuccess && !is_product(wrong.c));
}

void shapes_that_do_not_meet_are_refused() {
  OA_CHECK(attempt({.b_rows = kDepth + 1}).choice == kInvalidValue);
  OA_CHECK(attempt({.transpose_a = BlasTranspose::yes}).choice == kInvalidValue);
}

void misaligned_pointers_are_refused() {
  OA_CHECK(attempt({.offset = 1}).product == kInvalidValue);
  OA_CHECK(attempt({.alignment = 4, .offset = 1}).product == kBlasSuccess);
}

void algorithms_of_another_shape_are_refused() { OA_CHECK(attempt({.mixes_up = true}).product == kInvalidValue); }

void missing_workspace_is_refused() {
  OA_CHECK(attempt({.has_workspace = false}).product == kInvalidValue);
  OA_CHECK(attempt({.given_workspace_bytes = 1024}).product == kInvalidValue);
  // What was never promised is not missed.
  OA_CHECK(attempt({.workspace_bytes = 0, .has_workspace = false, .given_workspace_bytes = 0}).product == kBlasSuccess);
}

void other_types_are_refused() {
  OA_CHECK(attempt({.c_type = BlasType::bf16}).choice == kBlasNotSupported);
  OA_CHECK(attempt({.b_type = BlasType::bf16}).choice == kInvalidValue);
  const BlasType bf16 = BlasType::bf16;
  OA_CHECK(attempt({.type = bf16, .c_type = bf16, .compute = BlasCompute::tf32}).choice == kBlasNotSupported);
  OA_CHECK(attempt({.type = bf16, .c_type = bf16}).choice == kBlasSuccess);
  OA_CHECK(attempt({.type = bf16, .alignment = 1}).choice == kBlasNotSupported);
}

// c[2, 2] = a·b of bf16, as bf16 and as f32: a sum that bf16 cannot hold is rounded at the end, not on the way.
template <class T>
float bf16_product() {
  Stream stream(0, Precision::fp32);
  uint16_t* data = nullptr;
  cuda::check(cudaMalloc(reinterpret_cast<void**>(&data), 64), "a test");
  const uint16_t values[] = {float_to_bf16(256), float_to_bf16(1), float_to_bf16(1), float_to_bf16(1)};
  cuda::check(cudaMemcpy(data, values, sizeof values, cudaMemcpyHostToDevice), "a test");
  Product product;
  product.a = reinterpret_cast<const Bf16*>(data);
  product.b = reinterpret_cast<const Bf16*>(data + 2);
  product.c = reinterpret_cast<T*>(data + 8);
  product.rows = product.columns = 1;
  product.depth = 2;
  stream.multiply(product);
  stream.wait();
  T c;
  cuda::check(cudaMemcpy(&c, data + 8, sizeof c, cudaMemcpyDeviceToHost), "a test");
  cudaFree(data);
  return widen(c);
}

void products_of_bf16_add_in_f32() {
  OA_CHECK(bf16_product<float>() == 257);
  OA_CHECK(bf16_product<Bf16>() == 256);
}

// c[2, 2] = a·b through the package's own code: a square matrix taken transposed is no error, but another product.
void wrong_transposes_give_other_products() {
  Stream stream(0, Precision::fp32);
  float* data = nullptr;
  cuda::check(cudaMalloc(reinterpret_cast<void**>(&data), 12 * sizeof(float)), "a test");
  const float values[] = {1, 2, 3, 4, 5, 6, 7, 8};
  cuda::check(cudaMemcpy(data, values, sizeof values, cudaMemcpyHostToDevice), "a test");
  const auto multiplied = [&](bool transpose_a, bool transpose_b) {
    Product product{.c = data + 8, .a = data, .b = data + 4, .rows = 2, .columns = 2, .depth = 2};
    product.transpose_a = transpose_a;
    product.transpose_b = transpose_b;
    stream.multiply(product);
    stream.wait();
    std::vector<float> c(4);
    cuda::check(cudaMemcpy(c.data(), data + 8, 4 * sizeof(float), cudaMemcpyDeviceToHost), "a test");
    return c;
  };
  OA_CHECK((multiplied(false, false) == std::vector<float>{19, 22, 43, 50}));
  OA_CHECK((multiplied(true, false) == std::vector<float>{26, 30, 38, 44}));
  OA_CHECK((multiplied(false, true) == std::vector<float>{17, 23, 39, 53}));
  cudaFree(data);
}

// Products are work of the stream as kernels are: their operands are read when it comes to them.
void products_wait_for_the_stream() {
  Stream stream(0, Precision::fp32);
  float *data = nullptr, result = 0;
  cuda::check(cudaMalloc(reinterpret_cast<void**>(&data), 3 * sizeof(float)), "a test");
  cuda::check(cudaMemset(data, 0, 3 * sizeof(float)), "a test");
  stream.multiply({.c = data, .a = data + 1, .b = data + 2, .rows = 1, .columns = 1, .depth = 1});
  const float values[] = {9, 2, 3};
  cuda::check(cudaMemcpy(data, values, sizeof values, cudaMemcpyHostToDevice), "a test");
  cuda::check(cudaMemcpy(&result, data, sizeof result, cudaMemcpyDeviceToHost), "a test");
  OA_CHECK(result == 9);
  stream.wait();
  cuda::check(cudaMemcpy(&result, data, sizeof result, cudaMemcpyDeviceToHost), "a test");
  OA_CHECK(result == 6);
  cudaFree(data);
}

}  // namespace

void test_cuda_products() {
  run("right products pass", right_calls_pass);
  run("wrong leading dimensions are refused", wrong_leading_dimensions_are_refused);
  run("leading dimensions that fit give other products", leading_dimensions_that_fit_give_other_products);
  run("shapes that do not meet are refused", shapes_that_do_not_meet_are_refused);
  run("misaligned pointers are refused", misaligned_pointers_are_refused);
  run("algorithms of another shape are refused", algorithms_of_another_shape_are_refused);
  run("missing workspace is refused", missing_workspace_is_refused);
  run("other types are refused", other_types_are_refused);
  run("products of bf16 add in f32", products_of_bf16_add_in_f32);
  run("wrong transposes give other products", wrong_transposes_give_other_products);
  run("products wait for the stream", products_wait_for_the_stream);
}

}  // namespace oa::selftest
