// Products and loads of tensor cores and copies that run beside a kernel: what the stand-ins of them compute, and
// faults of kernels that use them, each beside its right twin.
#include "tensor.h"

#include <string>
#include <vector>

#include "../check.h"
#include "cuda/async.cuh"
#include "cuda/check.h"
#include "cuda/mma.cuh"
#include "cuda/warp.cuh"
#include "planted.h"

namespace oa::selftest {
namespace {

constexpr int kSide = 16;

struct Memory {
  alignas(16) SharedArray<Bf16, kSide * kSide + 8> a;
  alignas(16) SharedArray<Bf16, kSide * kSide> b;
  alignas(16) SharedArray<float, kCount * 4> copies;
};

__device__ int thread() { return static_cast<int>(threadIdx.x); }

// Small whole numbers, so that every order of adding gives the same sum.
float a_of(int row, int column) { return static_cast<float>((row * 7 + column * 3) % 11 - 5); }
float b_of(int row, int column) { return static_cast<float>((row * 5 + column * 13) % 7 - 3); }

// a[16, 16] and b[16, 16], row by row. By the first warp alone: the second has nothing to do with it.
__device__ void fill(Memory& memory) {
  if (warp() == 0) {
    for (int i = lane(); i < kSide * kSide; i += kWarp) {
      memory.a[i] = narrow<Bf16>(a_of(i / kSide, i % kSide));
      memory.b[i] = narrow<Bf16>(b_of(i / kSide, i % kSide));
    }
  }
}

// Where row l % 8 of matrix l / 8 begins, the four lying as a[] wants them: left column of matrices first.
__device__ int row_of_lane() { return lane() % kSide * kSide + lane() / kSide * kMatrixColumns; }

// y[16, 8] of a · b, whose columns 0 to 7 are taken.
template <bool kFaulty>
__global__ void wrong_fragment_row(float* y) {
  auto& memory = shared<Memory>();
  fill(memory);
  sync_block();
  if (warp() != 0) return;
  uint32_t a[4], b[4];
  float c[4] = {};
  load_matrices(a, memory.a, kFaulty ? (row_of_lane() + kSide) % (kSide * kSide) : row_of_lane());
  load_transposed(b, memory.b, row_of_lane());
  multiply_add(c, a, b[0], b[1]);
  const int g = lane() / 4, t = lane() % 4;
  for (int i = 0; i < 2; ++i) {
    if (g < 4) y[g * 8 + 2 * t + i] = c[i];
    if (g >= 4) y[g * 8 + 2 * t + i] = c[2 + i];  // of row g + 8
  }
}

// b as rows of its transpose, as the weights of y = x·wᵀ lie: loaded without transposing.
__global__ void product_with_rows(float* y) {
  auto& memory = shared<Memory>();
  fill(memory);
  sync_block();
  if (warp() != 0) return;
  uint32_t a[4], b[4];
  float c[4] = {};
  load_matrices(a, memory.a, row_of_lane());
  load_matrices(b, memory.b, lane() % 8 * kSide + lane() / 8 % 2 * kMatrixColumns);
  multiply_add(c, a, b[0], b[1]);
  const int g = lane() / 4, t = lane() % 4;
  for (int i = 0; i < 2; ++i) y[g * 8 + 2 * t + i] = c[i];
}

std::vector<float> result_of(void (*kernel)(float*)) {
  Bench bench;
  OA_CHECK(bench.run({"product", dim3(1), dim3(kCount), sizeof(Memory)}, kernel) == "");
  std::vector<float> y(kCount);
  cuda::check(cudaMemcpy(y.data(), bench.y, kCount * sizeof(float), cudaMemcpyDeviceToHost), "a test");
  return y;
}

void products_are_right() {
  std::vector<float> plain(kCount), rows(kCount);
  for (int i = 0; i < 8; ++i) {
    for (int n = 0; n < 8; ++n) {
      const int m = i < 4 ? i : i + 8;
      for (int k = 0; k < kSide; ++k) {
        plain[static_cast<size_t>(i * 8 + n)] += a_of(m, k) * b_of(k, n);
        rows[static_cast<size_t>(i * 8 + n)] += a_of(i, k) * b_of(n, k);
      }
    }
  }
  OA_CHECK(result_of(wrong_fragment_row<false>) == plain);
  OA_CHECK(result_of(product_with_rows) == rows);
  OA_CHECK(result_of(wrong_fragment_row<true>) != plain);  // which nothing but the numbers shows
}

// ---- faults of loads and products ----

template <bool kFaulty>
__global__ void load_that_is_not_aligned(float* y) {
  auto& memory = shared<Memory>();
  fill(memory);
  if (warp() == 0) {
    for (int i = lane(); i < 8; i += kWarp) memory.a[kSide * kSide + i] = Bf16{0};
  }
  sync_block();
  uint32_t a[4];
  load_matrices(a, memory.a, row_of_lane() + (kFaulty ? 4 : 8));
  y[thread()] = static_cast<float>(a[0]);
}

// A lane's own row is not its own: its elements go to others.
template <bool kFaulty>
__global__ void load_without_a_barrier(float* y) {
  auto& memory = shared<Memory>();
  if (warp() != 0) return;
  for (int i = 0; i < kMatrixColumns; ++i) memory.a[row_of_lane() + i] = Bf16{0};
  if (!kFaulty) sync_warp();
  uint32_t a[4];
  load_matrices(a, memory.a, row_of_lane());
  y[thread()] = static_cast<float>(a[0]);
}

template <bool kFaulty>
__global__ void write_behind_a_load(float* y) {
  auto& memory = shared<Memory>();
  fill(memory);
  sync_block();
  if (warp() != 0) return;
  uint32_t a[4];
  load_matrices(a, memory.a, row_of_lane());
  if (!kFaulty) sync_warp();
  memory.a[row_of_lane()] = Bf16{0};
  y[thread()] = static_cast<float>(a[0]);
}

template <bool kFaulty>
__global__ void product_of_some_lanes(float* y) {
  const uint32_t a[4] = {};
  float c[4] = {};
  if (!kFaulty || lane() != 9) multiply_add(c, a, 0, 0);
  y[thread()] = c[0];
}

template <bool kFaulty>
__global__ void products_of_two_branches(float* y) {
  const uint32_t a[4] = {};
  float c[4] = {};
  if (kFaulty && lane() % 2 == 0) {
    multiply_add(c, a, 0, 0);
  } else {
    multiply_add(c, a, 0, 0);
  }
  y[thread()] = c[0];
}

template <bool kFaulty>
__global__ void product_beside_a_load(float* y) {
  auto& memory = shared<Memory>();
  fill(memory);
  sync_block();
  uint32_t a[4] = {};
  float c[4] = {};
  if (!kFaulty || lane() < 16) load_matrices(a, memory.a, row_of_lane());
  if (!kFaulty || lane() >= 16) multiply_add(c, a, 0, 0);
  y[thread()] = c[0];
}

// ---- faults of copies ----

// Every thread copies four floats of y and reads those of its neighbour in the other warp, where there was something
// before, so that nothing is about reads before the first write.
template <class Between>
__device__ void copy_and_read(float* y, const Between& between) {
  auto& memory = shared<Memory>();
  for (int i = 0; i < 4; ++i) memory.copies[4 * thread() + i] = 0;
  sync_block();
  copy_async(memory.copies, 4 * thread(), y + 4 * (thread() % 16));
  between();
  y[thread()] = memory.copies[4 * ((thread() + kWarp) % kCount)];
}

template <bool kFaulty>
__global__ void copy_not_waited_for(float* y) {
  copy_and_read(y, [] {
    commit_copies();
    if (!kFaulty) wait_for_copies<0>();
    sync_block();
  });
  wait_for_copies<0>();
}

template <bool kFaulty>
__global__ void copy_not_committed(float* y) {
  copy_and_read(y, [] {
    if (!kFaulty) commit_copies();
    wait_for_copies<0>();
    sync_block();
  });
}

template <bool kFaulty>
__global__ void wait_that_ends_too_early(float* y) {
  copy_and_read(y, [] {
    commit_copies();
    wait_for_copies<kFaulty ? 1 : 0>();
    sync_block();
  });
  wait_for_copies<0>();
}

template <bool kFaulty>
__global__ void copy_without_a_barrier(float* y) {
  copy_and_read(y, [] {
    commit_copies();
    wait_for_copies<0>();
    if (!kFaulty) sync_block();
  });
}

template <bool kFaulty>
__global__ void barrier_before_the_wait(float* y) {
  copy_and_read(y, [] {
    commit_copies();
    if (kFaulty) sync_block();
    wait_for_copies<0>();
    if (!kFaulty) sync_block();
  });
}

// The next tile is asked for while others still read this one.
template <bool kFaulty>
__global__ void copy_over_what_is_read(float* y) {
  auto& memory = shared<Memory>();
  float sum = 0;
  for (int round = 0; round < 2; ++round) {
    copy_async(memory.copies, 4 * thread(), y + 4 * (thread() % 16));
    commit_copies();
    wait_for_copies<0>();
    sync_block();
    sum += memory.copies[4 * ((thread() + kWarp) % kCount)];
    if (!kFaulty) sync_block();
  }
  y[thread()] = sum;
}

template <bool kFaulty>
__global__ void copy_from_a_place_not_aligned(float* y) {
  auto& memory = shared<Memory>();
  copy_async(memory.copies, 4 * thread(), y + (kFaulty ? 2 : 4));
  commit_copies();
  wait_for_copies<0>();
}

template <bool kFaulty>
__global__ void copy_to_a_place_not_aligned(float* y) {
  auto& memory = shared<Memory>();
  if (thread() == 0) copy_async(memory.copies, kFaulty ? 2 : 4, y);
  commit_copies();
  wait_for_copies<0>();
}

template <bool kFaulty>
__global__ void copy_past_the_tile(float* y) {
  auto& memory = shared<Memory>();
  copy_async(memory.copies, 4 * thread() + (kFaulty ? 4 : 0), y);
  commit_copies();
  wait_for_copies<0>();
}

template <bool kFaulty>
__global__ void copy_left_under_way(float* y) {
  auto& memory = shared<Memory>();
  copy_async(memory.copies, 4 * thread(), y);
  commit_copies();
  if (!kFaulty) wait_for_copies<0>();
}

template <bool kFaulty>
__global__ void source_written_too_early(float* y) {
  auto& memory = shared<Memory>();
  y[thread()] = 1;
  sync_block();
  copy_async(memory.copies, 4 * thread(), y + 4 * (thread() % 16));
  commit_copies();
  if (!kFaulty) wait_for_copies<0>();
  sync_block();
  y[thread()] = 2;
  sync_block();
  if (kFaulty) wait_for_copies<0>();
}

constexpr const char* kUnderWay = "is under way: it has not waited for it";

const Planted kPlanted[] = {
    PLANTED(load_that_is_not_aligned, "a row of a matrix that is not aligned to 16 bytes"),
    PLANTED(load_without_a_barrier, kRace),
    PLANTED(write_behind_a_load, kRace),
    PLANTED(product_of_some_lanes, "waits for its warp, mask ffffffff, arrived fffffdff"),
    PLANTED(products_of_two_branches, "in another operation than its own"),
    PLANTED(product_beside_a_load, "in another operation than its own"),
    PLANTED(copy_not_waited_for, kUnderWay),
    PLANTED(copy_not_committed, kUnderWay),
    PLANTED(wait_that_ends_too_early, kUnderWay),
    PLANTED(copy_without_a_barrier, kRace, kUnderWay),
    PLANTED(barrier_before_the_wait, kRace, kUnderWay),
    PLANTED(copy_over_what_is_read, kRace, kUnderWay),
    PLANTED(copy_from_a_place_not_aligned, "copies from memory that is not aligned to 16 bytes"),
    PLANTED(copy_to_a_place_not_aligned, "copies to shared memory that is not aligned to 16 bytes"),
    PLANTED(copy_past_the_tile, "shared array of 256 elements is used at index 256"),
    PLANTED(copy_left_under_way, "leaves while copies of it to shared memory are under way"),
    PLANTED(source_written_too_early, "copied memory that changed while the copy was under way"),
};

// ---- what good kernels do ----

// Zeros where there is nothing, and nothing is read there.
__global__ void copy_of_nothing(float* y) {
  auto& memory = shared<Memory>();
  const bool exists = thread() % 2 == 0;
  copy_async(memory.copies, 4 * thread(), exists ? y + 4 * (thread() % 16) : nullptr, exists);
  commit_copies();
  wait_for_copies<0>();
  sync_block();
  y[thread()] = memory.copies[4 * ((thread() + kWarp) % kCount)] + 1.0f;
}

void zeros_come_where_nothing_is() {
  const std::vector<float> y = result_of(copy_of_nothing);
  for (int i = 1; i < kCount; i += 2) OA_CHECK(y[static_cast<size_t>(i)] == 1);
}

}  // namespace

void test_cuda_tensor() {
  Bench bench;
  for (const Planted& planted : kPlanted) {
    run(std::string("planted fault: ") + planted.name, [&] {
      bench.stream.fill(bench.y, 0, kCount * sizeof(float));
      check_planted(bench, planted, sizeof(Memory));
    });
  }
  run("planted fault: wrong_fragment_row; products are right", products_are_right);
  run("copies of nothing give zeros", zeros_come_where_nothing_is);
}

}  // namespace oa::selftest
