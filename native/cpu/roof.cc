#include "cpu/roof.h"

#include "cpu/vec.h"

namespace oa::OA_ISA {
namespace {

// Latency times units: 4 cycles · 2 units on every x86 core since 2013, up to 4 · 4 on arm64. More chains than that
// hide nothing more, and all of them and the two constants must stay in registers: 16 of them with AVX2, else 32.
#if OA_ISA_NUMBER == OA_ISA_avx512 || OA_ISA_NUMBER == OA_ISA_neon
constexpr int kChains = 24;
#elif OA_ISA_NUMBER == OA_ISA_avx512_as_avx2
constexpr int kChains = 6;  // a vector takes two registers there
#else
constexpr int kChains = 12;
#endif

// x = x · factor + addend tends to 1, so no number ever grows, vanishes or becomes denormal.
float chains(int64_t rounds, float factor, float addend) {
  const Vec f = broadcast(factor);
  const Vec a = broadcast(addend);
  Vec x[kChains];
  for (int i = 0; i < kChains; ++i) x[i] = broadcast(static_cast<float>(i));
  for (int64_t round = 0; round < rounds; ++round) {
#pragma GCC unroll 24
    for (int i = 0; i < kChains; ++i) x[i] = fma(x[i], f, a);
  }
  Vec sum = x[0];
  for (int i = 1; i < kChains; ++i) sum = sum + x[i];
  return reduce_add(sum);
}

}  // namespace

int64_t run_multiply_adds(ThreadPool& pool, int64_t rounds) {
  // The constants come from memory that the compiler must read, and results go where they must not be left out.
  volatile float constants[] = {0.75f, 0.25f};
  pool.parallel_for(pool.threads(), [&](int64_t, int) {
    [[maybe_unused]] volatile float sink = chains(rounds, constants[0], constants[1]);
  });
  return int64_t{2} * kChains * kLanes * rounds * pool.threads();
}

}  // namespace oa::OA_ISA
