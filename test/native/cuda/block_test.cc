// Kernels that are wrong in one way each, beside their right twins: the stand-ins must report the first, in every
// order of blocks and threads, and let the second pass.
#include "block.h"

#include <algorithm>
#include <string>
#include <vector>

#include "../check.h"
#include "cuda/launch.cuh"
#include "cuda/reduce.cuh"
#include "cuda/shared.cuh"
#include "cuda/warp.cuh"
#include "planted.h"

namespace oa::selftest {
namespace {

using namespace oa::cuda;

struct Memory {
  SharedArray<float, kCount> values;
};

__device__ int thread() { return static_cast<int>(threadIdx.x); }

// Fills the array, so that what follows is about races and not about reads before the first write.
__device__ SharedArray<float, kCount>& filled() {
  auto& values = shared<Memory>().values;
  if (thread() < kCount) values[thread()] = 0;
  sync_block();
  return values;
}

// ---- barriers ----

template <bool kFaulty>
__global__ void no_barrier_after_a_write(float* y) {
  auto& values = filled();
  values[thread()] = static_cast<float>(thread());
  if (!kFaulty) sync_block();
  y[thread()] = values[kCount - 1 - thread()];
}

// The second round of a loop overwrites what slower threads still read.
template <bool kFaulty>
__global__ void no_barrier_before_the_next_round(float* y) {
  auto& values = filled();
  float sum = 0;
  for (int round = 0; round < 2; ++round) {
    values[thread()] = static_cast<float>(round);
    sync_block();
    sum += values[(thread() + 32) % kCount];
    if (!kFaulty) sync_block();
  }
  y[thread()] = sum;
}

template <bool kFaulty>
__global__ void barrier_for_half(float* y) {
  if (!kFaulty || thread() < kCount / 2) sync_block();
  y[thread()] = 1;
}

template <bool kFaulty>
__global__ void two_barriers(float* y) {
  if (kFaulty && thread() < kCount / 2) {
    sync_block();
  } else {
    sync_block();
  }
  y[thread()] = 1;
}

template <bool kFaulty>
__global__ void early_exit(float* y) {
  const bool has_work = thread() < kCount - 3;
  if (kFaulty && !has_work) return;
  sync_block();
  if (has_work) y[thread()] = 1;
}

template <bool kFaulty>
__global__ void rounds_that_differ(float* y) {
  const int rounds = kFaulty ? 2 + thread() / kWarp : 3;
  for (int i = 0; i < rounds; ++i) sync_block();
  y[thread()] = 1;
}

// ---- bounds and first writes ----

template <bool kFaulty>
__global__ void past_the_shared_tile(float* y) {
  auto& values = filled();
  y[thread()] = kFaulty || thread() + 1 < kCount ? values[thread() + 1] : 0.0f;
}

template <bool kFaulty>
__global__ void before_the_shared_tile(float* y) {
  auto& values = filled();
  y[thread()] = kFaulty || thread() > 0 ? values[thread() - 1] : 0.0f;
}

// y has as many elements as there are threads.
template <bool kFaulty>
__global__ void past_the_global_tile(float* y) {
  const int i = thread() + 1;
  if (kFaulty ? i <= kCount : i < kCount) y[i] = 1;
}

template <bool kFaulty>
__global__ void shared_memory_not_written(float* y) {
  auto& values = shared<Memory>().values;
  if (!kFaulty || thread() < kCount - 1) values[thread()] = 1;
  sync_block();
  y[thread()] = values[kCount - 1 - thread()];
}

struct MoreMemory {
  SharedArray<float, kCount> values;
  SharedArray<float, 1> one_more;
};

template <bool kFaulty>
__global__ void shared_memory_of_another_size(float* y) {
  if (kFaulty)
    shared<MoreMemory>().values[thread()] = 1;
  else
    shared<Memory>().values[thread()] = 1;
  y[thread()] = 1;
}

// ---- warps ----

template <bool kFaulty>
__global__ void lane_not_in_its_mask(float* y) {
  y[thread()] = shuffle_xor(1.0f, 1, kFaulty ? kFullWarp - 1 : kFullWarp);
}

template <bool kFaulty>
__global__ void masks_that_differ(float* y) {
  y[thread()] = shuffle_xor(1.0f, 2, kFaulty && lane() % 2 == 1 ? 0xaaaaaaaau : kFullWarp);
}

template <bool kFaulty>
__global__ void lane_missing(float* y) {
  if (kFaulty && lane() == 5) return;
  y[thread()] = warp_sum(1.0f);
}

template <bool kFaulty>
__global__ void value_of_a_lane_outside(float* y) {
  y[thread()] = 0;
  if (lane() < 16) y[thread()] = shuffle(1.0f, kFaulty ? 16 : 15, 0x0000ffffu);
}

template <bool kFaulty>
__global__ void operations_that_differ(float* y) {
  if (kFaulty && lane() < 7)
    sync_warp();
  else
    y[thread()] = shuffle_xor(1.0f, 1);
}

template <bool kFaulty>
__global__ void race_between_warps(float* y) {
  auto& values = filled();
  if (warp() == 0) values[lane()] = 1;
  if (kFaulty)
    sync_warp();  // of each warp alone
  else
    sync_block();
  y[thread()] = values[lane()];
}

template <bool kFaulty>
__global__ void race_between_lanes(float* y) {
  auto& values = filled();
  values[thread()] = 1;
  if (!kFaulty) sync_warp();
  y[thread()] = values[thread() ^ 1];
}

// A shuffle makes lanes meet, but says nothing about memory.
template <bool kFaulty>
__global__ void shuffle_for_a_barrier(float* y) {
  auto& values = filled();
  values[thread()] = 1;
  const float one = shuffle_xor(1.0f, 1);
  if (!kFaulty) sync_warp();
  y[thread()] = one + values[thread() ^ 1];
}

// The tree of a sum within a warp, each step of which reads what the step before wrote.
template <bool kFaulty>
__global__ void tree_without_barriers(float* y) {
  auto& values = filled();
  values[thread()] = 1;
  for (int distance = 16; distance > 0; distance /= 2) {
    if (!kFaulty) sync_warp();
    if (lane() < distance) values[thread()] += values[thread() + distance];
  }
  sync_warp();
  y[thread()] = values[warp() * kWarp];
}

// ---- all of them ----

const Planted kPlanted[] = {
    PLANTED(no_barrier_after_a_write, kRace),
    PLANTED(no_barrier_before_the_next_round, kRace),
    PLANTED(barrier_for_half, kHangs),
    PLANTED(two_barriers, "waits at the barrier of"),
    PLANTED(early_exit, "3 of 64 threads have left the kernel"),
    PLANTED(rounds_that_differ, kHangs),
    PLANTED(past_the_shared_tile, "shared array of 64 elements is used at index 64"),
    PLANTED(before_the_shared_tile, "shared array of 64 elements is used at index -1"),
    PLANTED(shared_memory_not_written, "that no thread has written"),
    PLANTED(shared_memory_of_another_size, "uses 260 bytes of shared memory, but was launched with 256"),
    PLANTED(lane_not_in_its_mask, "whose mask leaves its lane out", "a lane outside of the mask"),
    PLANTED(masks_that_differ, "names another mask", kHangs),
    PLANTED(lane_missing, "waits for its warp, mask ffffffff, arrived ffffffdf"),
    PLANTED(value_of_a_lane_outside, "a lane outside of the mask"),
    PLANTED(operations_that_differ, "in another operation than its own"),
    PLANTED(race_between_warps, kRace),
    PLANTED(race_between_lanes, kRace),
    PLANTED(shuffle_for_a_barrier, kRace),
    PLANTED(tree_without_barriers, kRace),
#if !defined(__SANITIZE_ADDRESS__)  // which would end the program there
    PLANTED(past_the_global_tile, "wrote 0 bytes behind the end of 256 bytes of device memory"),
#endif
};

// ---- launches ----

__global__ void nothing(float*) {}

void launches_are_checked() {
  Bench bench;
  const auto said = [&](dim3 blocks, dim3 threads, size_t shared_bytes = 0) {
    return bench.run({"nothing", blocks, threads, shared_bytes}, nothing);
  };
  OA_CHECK(said(1, 1024, 227 << 10) == "" && said(1, dim3(16, 4, 2)) == "" && said(dim3(1, 65535), 32) == "");
  OA_CHECK(contains(said(1, 1056), "a block of 1056 threads"));
  OA_CHECK(contains(said(1, 48), "a block of 48 threads is no whole number of warps"));
  OA_CHECK(contains(said(1, 0), "a block of 0 threads"));
  OA_CHECK(contains(said(1, 32, (227 << 10) + 1), "232449 bytes of shared memory"));
  OA_CHECK(contains(said(dim3(1, 65536), 32), "a grid of (1, 65536, 1) blocks"));
  OA_CHECK(said(0, 32) == "");
}

// ---- orders ----

// Races through device memory are not watched: what a thread reads depends on who came first.
template <bool kFaulty>
__global__ void from_the_thread_before(float* y) {
  y[thread()] = 1;
  if (!kFaulty) sync_block();
  const float before = thread() > 0 ? y[thread() - 1] : 0.0f;
  sync_block();
  y[thread()] = before;
}

// Blocks of a grid may come in any order, too.
template <bool kFaulty>
__global__ void from_the_block_before(float* y) {
  const int block = static_cast<int>(blockIdx.x);
  if (thread() > 0) return;
  y[block] = !kFaulty || block == 0 ? static_cast<float>(block) : y[block - 1] + 1.0f;
}

// The values of y after each of several orders; y begins with zeros.
std::vector<std::vector<float>> results_of(void (*kernel)(float*), const Grid& grid) {
  Bench bench;
  std::vector<std::vector<float>> all;
  for (uint64_t order = 0; order < kOrders; ++order) {
    standin::set_order(order);
    bench.stream.fill(bench.y, 0, kCount * sizeof(float));
    OA_CHECK(bench.run(grid, kernel) == "");
    std::vector<float> y(kCount);
    cuda::check(cudaMemcpy(y.data(), bench.y, kCount * sizeof(float), cudaMemcpyDeviceToHost), "a test");
    all.push_back(std::move(y));
  }
  standin::set_order(0);
  return all;
}

bool all_equal(const std::vector<std::vector<float>>& results) {
  return std::all_of(results.begin(), results.end(), [&](const auto& one) { return one == results[0]; });
}

// Order 0 hides the fault: there the wrong kernel gives what the right one gives.
void orders_find_what_depends_on_them() {
  const auto compare = [](void (*faulty)(float*), void (*right)(float*), const Grid& grid) {
    const auto wrong = results_of(faulty, grid), good = results_of(right, grid);
    OA_CHECK(all_equal(good));
    OA_CHECK(wrong[0] == good[0]);
    OA_CHECK(!all_equal(wrong));
  };
  compare(from_the_thread_before<true>, from_the_thread_before<false>, {"threads", dim3(1), dim3(kCount)});
  compare(from_the_block_before<true>, from_the_block_before<false>, {"blocks", dim3(kCount), dim3(32)});
}

void orders_repeat() {
  const Grid grid{"blocks", dim3(kCount), dim3(32)};
  OA_CHECK(results_of(from_the_block_before<true>, grid) == results_of(from_the_block_before<true>, grid));
}

// A fault in one block leaves nothing behind for the next kernel.
void faults_leave_nothing_behind() {
  Bench bench;
  const Grid grid{"kernel", dim3(3), dim3(kCount), sizeof(Memory)};
  OA_CHECK(bench.run(grid, lane_missing<true>) != "");
  OA_CHECK(bench.run(grid, lane_missing<false>) == "");
  launch(bench.stream, grid, early_exit<true>, bench.y);
  launch(bench.stream, grid, early_exit<false>, bench.y);  // is dropped, as behind a fault of a GPU
  OA_CHECK(bench.wait() != "" && bench.wait() == "");
}

// ---- what good kernels do ----

__global__ void sum_of_a_block(float* y) {
  auto& parts = shared<WarpParts<float>>();
  y[thread()] = block_sum(static_cast<float>(thread()), parts);
}

// Lanes read one value, later others write it: ordered by the warp's barrier alone.
__global__ void warps_work_on_their_own(float* y) {
  auto& values = filled();
  float sum = 0;
  for (int round = 0; round < 3; ++round) {
    if (lane() == round) values[warp() * kWarp] = static_cast<float>(round);
    sync_warp();
    sum += values[warp() * kWarp];
    sync_warp();
    if (lane() == 7) sum += values[warp() * kWarp];
    sync_warp();
  }
  y[thread()] = sum;
}

// Half of a warp exchanges again and again before the others run on with the value of the exchange of all.
__global__ void some_lanes_go_on_first(float* y) {
  const float all = shuffle(static_cast<float>(lane()), (lane() + 1) % kWarp);
  float half = 0;
  if (lane() < 16) {
    for (int i = 0; i < 5; ++i) half = shuffle(static_cast<float>(100 * i), 0, 0x0000ffffu);
  }
  y[thread()] = all + half;
}

void good_kernels_pass() {
  const Grid grid{"good", dim3(1), dim3(kCount), sizeof(WarpParts<float>)};
  const auto sums = results_of(sum_of_a_block, grid);
  OA_CHECK(all_equal(sums) && sums[0][0] == 2016 && sums[0][63] == 2016);
  const auto rounds = results_of(warps_work_on_their_own, {"good", dim3(1), dim3(kCount), sizeof(Memory)});
  OA_CHECK(all_equal(rounds) && rounds[0][0] == 3 && rounds[0][7] == 6);
  const auto halves = results_of(some_lanes_go_on_first, {"good", dim3(1), dim3(kCount)});
  OA_CHECK(all_equal(halves) && halves[0][0] == 401 && halves[0][16] == 17 && halves[0][31] == 0);
}

}  // namespace

void test_cuda_blocks() {
  Bench bench;
  for (const Planted& planted : kPlanted) {
    run(std::string("planted fault: ") + planted.name, [&] { check_planted(bench, planted, sizeof(Memory)); });
  }
  run("launches are checked", launches_are_checked);
  run("orders find what depends on them", orders_find_what_depends_on_them);
  run("orders repeat", orders_repeat);
  run("faults leave nothing behind", faults_leave_nothing_behind);
  run("good kernels pass in every order", good_kernels_pass);
}

}  // namespace oa::selftest
