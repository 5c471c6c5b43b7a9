#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "base/arena.h"
#include "base/cpu_features.h"
#include "base/dtype.h"
#include "base/thread_pool.h"
#include "check.h"
#include "ops/registry.h"

namespace oa::selftest {
namespace {

void arenas_are_aligned_and_zeroed() {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{63}, size_t{4096}, size_t{5} << 20, (size_t{9} << 20) + 4}) {
    const auto arena = Arena::allocate(bytes, "a test");
    OA_CHECK(reinterpret_cast<uintptr_t>(arena->data()) % 64 == 0);
    OA_CHECK(arena->bytes() == bytes);
    OA_CHECK(std::all_of(arena->data(), arena->data() + bytes, [](char c) { return c == 0; }));
    std::fill(arena->data(), arena->data() + bytes, 'x');
  }
  OA_CHECK(error_code([] { Arena::allocate(size_t{1} << 60, "a test"); }) == "ERR_MEMORY");
}

// Against the definition: sign, exponent, fraction.
double half_value(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const double sign = half & 0x8000 ? -1 : 1;
  if (exponent == 31) return fraction ? NAN : sign * INFINITY;
  return sign * (exponent ? std::ldexp(1024 + fraction, exponent - 25) : std::ldexp(fraction, -24));
}

void every_half_converts_exactly() {
  for (uint32_t half = 0; half < 65536; ++half) {
    const double expected = half_value(static_cast<uint16_t>(half));
    const float got = half_to_float(static_cast<uint16_t>(half));
    if (std::isnan(expected) ? !std::isnan(got) : static_cast<double>(got) != expected) OA_CHECK(!"half differs");
  }
}

void pools_run_every_chunk_once() {
  for (const int threads : {1, 2, 3, 5}) {
    ThreadPool pool(threads);
    OA_CHECK(pool.threads() == threads);
    for (const int64_t chunks : {0, 1, 2, 7, 1000}) {
      for (int repeat = 0; repeat < 20; ++repeat) {
        std::vector<std::atomic<int>> counts(static_cast<size_t>(chunks));
        pool.parallel_for(chunks, [&](int64_t chunk, int thread) {
          if (thread < 0 || thread >= threads) OA_CHECK(!"thread out of range");
          ++counts[static_cast<size_t>(chunk)];
        });
        OA_CHECK(std::all_of(counts.begin(), counts.end(), [](const auto& count) { return count == 1; }));
      }
    }
  }
}

void registry_is_consistent() {
  OA_CHECK(!usable_isas().empty() && usable_isas()[0] == best_isa());
  for (const auto isa : usable_isas()) OA_CHECK(cpu_supports(isa) && cpu_backend(isa) != nullptr);
  OA_CHECK(cpu_backend("none") == nullptr);
  for (const OpInfo& info : op_infos()) {
    OA_CHECK(find_op(info.code) == &info);
    for (const auto isa : usable_isas()) {
      const OpFunctions& functions = cpu_backend(isa)->table[info.code];
      OA_CHECK(functions.check && functions.scratch && functions.run);
    }
  }
}

}  // namespace

void test_base() {
  run("arenas are aligned and zeroed", arenas_are_aligned_and_zeroed);
  run("every half converts exactly", every_half_converts_exactly);
  run("pools run every chunk once", pools_run_every_chunk_once);
  run("the registry is consistent", registry_is_consistent);
}

}  // namespace oa::selftest
