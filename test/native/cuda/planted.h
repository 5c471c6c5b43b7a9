// Runs kernels that are wrong in one way each, beside their right twins: the first must be reported, in every order of
// blocks and threads, and the second must pass.
#pragma once

#include <cstdio>
#include <string>

#include "../check.h"
#include "base/error.h"
#include "block.h"
#include "cuda/launch.cuh"

namespace oa::selftest {

using namespace oa::cuda;

constexpr int kCount = 64;  // threads of most blocks: two warps

struct Planted {
  const char* name;
  void (*faulty)(float*);
  void (*right)(float*);
  const char* says;
  const char* or_says = nullptr;  // where the order decides which comes first
};

// The memory that kernels write and the stream they run on.
struct Bench {
  Stream stream{0, Precision::fp32};
  float* y = nullptr;

  Bench() { cuda::check(cudaMalloc(reinterpret_cast<void**>(&y), kCount * sizeof(float)), "a test"); }
  ~Bench() { cudaFree(y); }

  // What is said of a kernel, "" where all is well.
  std::string run(const Grid& grid, void (*kernel)(float*)) {
    launch(stream, grid, kernel, y);
    return wait();
  }
  std::string wait() {
    try {
      stream.wait();
    } catch (const Error& error) {
      return error.what();
    }
    return "";
  }
};

constexpr uint64_t kOrders = 6;

inline bool contains(const std::string& text, const char* part) { return part && text.find(part) != std::string::npos; }

// Of one block of kCount threads.
inline void check_planted(Bench& bench, const Planted& planted, size_t shared_bytes) {
  const Grid grid{planted.name, dim3(1), dim3(kCount), shared_bytes};
  for (uint64_t order = 0; order < kOrders; ++order) {
    standin::set_order(order);
    const std::string said = bench.run(grid, planted.faulty);
    const bool is_reported = contains(said, planted.says) || contains(said, planted.or_says);
    OA_CHECK(is_reported && contains(said, planted.name));
    if (!is_reported) std::printf("  order %d: \"%s\"\n", static_cast<int>(order), said.c_str());
    const std::string none = bench.run(grid, planted.right);
    OA_CHECK(none == "");
    if (!none.empty()) std::printf("  order %d: \"%s\"\n", static_cast<int>(order), none.c_str());
  }
  standin::set_order(0);
}

#define PLANTED(kernel, ...) {#kernel, kernel<true>, kernel<false>, __VA_ARGS__}

constexpr const char* kHangs = "hangs";
constexpr const char* kRace = "race in shared memory";

}  // namespace oa::selftest
