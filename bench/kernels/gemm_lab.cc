// The lab of the CPU products: GFLOP/s of every product in native/cpu/gemm at the shapes of a BERT step, next to the
// fused multiply-add rate of this machine, measured in the same minutes. How to build and run: README.md.
//
//   gemm_lab [threads = 2] [seconds per line = 0.3] [only lines that contain this text, or one shape: 512x384x64]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "cpu/gemm/gemm.h"
#include "cpu/gemm/kernel.h"
#include "cpu/math.h"
#include "cpu/philox.h"

namespace {

using namespace oa;
using namespace oa::OA_ISA;

double seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// 64-byte aligned floats with contents that are no denormals.
struct Matrix {
  explicit Matrix(int64_t n) : storage(static_cast<size_t>(n + 16)) {
    for (size_t i = 0; i < storage.size(); ++i) storage[i] = static_cast<float>(i * 7 % 13) * 0.1f - 0.6f;
  }
  float* data() { return reinterpret_cast<float*>((reinterpret_cast<uintptr_t>(storage.data()) + 63) / 64 * 64); }
  std::vector<float> storage;
};

// Many short samples, so that some fall between the time slices of other processes: the best and the median second.
struct Timing {
  double best, median;
};

Timing measure(double budget, const std::function<void()>& work) {
  work();
  std::vector<double> samples;
  const double start = seconds();
  while (samples.size() < 5 || seconds() - start < budget) {
    const double begin = seconds();
    work();
    samples.push_back(seconds() - begin);
  }
  std::sort(samples.begin(), samples.end());
  return {samples[0], samples[samples.size() / 2]};
}

// Multiply-adds of 12 independent chains on registers: the roof. The factor
// comes from outside and a number goes back, so that the compiler can drop none of them.
__attribute__((noinline)) float multiply_add_chains(int64_t rounds, float factor_value) {
  Vec chains[12];
  for (int i = 0; i < 12; ++i) chains[i] = broadcast(static_cast<float>(i) * factor_value);
  const Vec factor = broadcast(factor_value), term = broadcast(1.0f - factor_value);
  for (int64_t i = 0; i < rounds; ++i) {
#pragma GCC unroll 12
    for (int c = 0; c < 12; ++c) chains[c] = fma(chains[c], factor, term);
  }
  Vec sum{};
  for (const Vec& chain : chains) sum += chain;
  return reduce_add(sum);
}

struct Lab {
  ThreadPool& pool;
  double budget;
  std::string only;
  double roof = 0;

  bool wants(const char* name) const { return only.empty() || std::strstr(name, only.c_str()); }

  void line(const char* name, double flops, const std::function<void()>& work) {
    if (!wants(name)) return;
    const Timing t = measure(budget, work);
    std::printf("%-34s %7.1f us  best %6.1f  median %6.1f GFLOP/s  %3.0f %% of the roof\n", name, t.best * 1e6,
                flops / t.best * 1e-9, flops / t.median * 1e-9, flops / t.best * 1e-9 / roof * 100);
    std::fflush(stdout);
  }

  void measure_roof() {
    const int64_t rounds = 20000, chunks = pool.threads();
    volatile float unknown = 0.999f;
    const float factor = unknown;
    std::vector<float> out(static_cast<size_t>(chunks));
    const Timing t = measure(budget, [&] {
      pool.parallel_for(chunks, [&](int64_t c, int) {
        out[static_cast<size_t>(c)] = multiply_add_chains(rounds, factor);
      });
    });
    const double rate = static_cast<double>(chunks) * rounds * 12 * kLanes * 2 / t.best * 1e-9;
    roof = std::max(roof, rate);
    std::printf("multiply-add roof                  %6.1f GFLOP/s\n", rate);
  }

  void packed(int64_t m, int64_t k, int64_t n, const char* kind = "") {
    Matrix x(m * k), w(n * k), y(m * n), derivative(m * n), bias(n), panels(packed_floats(n, k));
    pack(nullptr, panels.data(), w.data(), n, k, k, 1);
    Epilogue e;
    if (std::strchr(kind, 'b')) e.bias = bias.data();
    if (std::strchr(kind, 'g')) e.activation = activation_gelu;
    if (std::strchr(kind, 'd')) e.derivative = derivative.data();
    char name[80];
    std::snprintf(name, sizeof name, "packed %ldx%ldx%ld %s", long(m), long(k), long(n), kind);
    line(name, 2.0 * m * n * k, [&] { gemm_packed(pool, y.data(), n, x.data(), k, panels.data(), m, n, k, e); });
  }

  void weight_gradient(int64_t tokens, int64_t n, int64_t k) {
    Matrix dy(tokens * n), x(tokens * k), dw(n * k);
    char name[80];
    std::snprintf(name, sizeof name, "dw %ldx%ldx%ld", long(n), long(tokens), long(k));
    line(name, 2.0 * tokens * n * k,
         [&] { gemm_weight_gradient(pool, dw.data(), dy.data(), n, x.data(), k, tokens, n, k); });
  }

  // The products of attention, one thread: scores = q·kᵀ with kᵀ contiguous, y = p·v, dv = pᵀ·dy.
  void attention(int64_t length, int64_t width) {
    const int64_t ld = 3 * 384;
    Matrix qkv(length * ld), transposed(width * length), scores(length * length), y(length * ld);
    const double flops = 2.0 * length * length * width;
    const int64_t repeat = 1 + 200000 / (length * length * width / 16);
    char name[80];
    const auto repeated = [&](const char* what, const std::function<void()>& work) {
      std::snprintf(name, sizeof name, "strided %s L=%ld D=%ld", what, long(length), long(width));
      line(name, flops * static_cast<double>(repeat), [&] { for (int64_t i = 0; i < repeat; ++i) work(); });
    };
    repeated("q k", [&] {
      gemm_strided(scores.data(), length, qkv.data(), ld, 1, transposed.data(), length, length, length, width, 0.2f,
                   false);
    });
    repeated("p v", [&] {
      gemm_strided(y.data(), ld, scores.data(), length, 1, qkv.data(), ld, length, width, length, 1.0f, false);
    });
    repeated("pT dy", [&] {
      gemm_strided(y.data(), ld, scores.data(), 1, length, qkv.data(), ld, length, width, length, 1.0f, false);
    });
  }

  void elementwise() {
    if (!wants("element")) return;
    const int64_t n = 4096;
    Matrix x(n), y(n), d(n);
    const StepScalars scalars{0, 3, 42};
    const DropoutStream stream(0.1f, 1, scalars, 0);
    const auto report = [&](const char* name, const std::function<void()>& work) {
      const Timing t = measure(budget, work);
      std::printf("element %-26s %6.3f ns\n", name, t.best * 1e9 / n);
    };
    report("gelu", [&] {
      for (int64_t i = 0; i < n; i += kLanes) store(y.data() + i, activate<activation_gelu>(load(x.data() + i)));
    });
    report("gelu and derivative", [&] {
      for (int64_t i = 0; i < n; i += kLanes) {
        Vec v, dv;
        activate<activation_gelu>(load(x.data() + i), v, dv);
        store(y.data() + i, v), store(d.data() + i, dv);
      }
    });
    report("exp", [&] {
      for (int64_t i = 0; i < n; i += kLanes) store(y.data() + i, oa::OA_ISA::exp(load(x.data() + i)));
    });
    report("dropout mask", [&] {
      for (int64_t i = 0; i < n; i += kLanes) store(y.data() + i, stream.mask(i));
    });
    report("dropout mask, element % 4 = 1", [&] {
      for (int64_t i = 0; i < n; i += kLanes) store(y.data() + i, stream.mask(i + 1));
    });
  }

  void pool_cost() {
    if (!wants("pool")) return;
    const auto nothing = [](int64_t, int) {};
    const Timing t = measure(budget, [&] { pool.parallel_for(pool.threads(), nothing); });
    std::printf("pool: start and join, spinning     %6.2f us best, %6.2f median\n", t.best * 1e6, t.median * 1e6);
  }
};

}  // namespace

int main(int argc, char** argv) {
  ThreadPool pool(argc > 1 ? std::atoi(argv[1]) : 2);
  Lab lab{pool, argc > 2 ? std::atof(argv[2]) : 0.3, argc > 3 ? argv[3] : ""};
  std::printf("CPU, %d threads, tile %d x %d\n", pool.threads(), kTileRows[kTileVectors - 1], kTileColumns);
  lab.measure_roof();
  lab.measure_roof();
  long m = 0, k = 0, n = 0;
  if (std::sscanf(lab.only.c_str(), "%ldx%ldx%ld", &m, &k, &n) == 3) {
    lab.only.clear();
    return lab.packed(m, k, n), 0;
  }
  for (const int64_t tokens : {512, 430, 64}) {
    lab.packed(tokens, 384, 1536);
    lab.packed(tokens, 1536, 384);
    lab.packed(tokens, 384, 384);
    lab.packed(tokens, 384, 1152);
    lab.packed(tokens, 384, 64);
    lab.packed(tokens, 64, 384);
  }
  lab.packed(512, 384, 8);
  lab.packed(512, 384, 256);
  lab.packed(512, 768, 768);
  lab.packed(512, 768, 3072);
  lab.packed(512, 3072, 768);
  lab.packed(512, 1024, 1024);
  lab.packed(13, 384, 1536);
  lab.packed(512, 384, 1536, "b");
  lab.packed(512, 384, 1536, "bg");
  lab.packed(512, 384, 1536, "bgd");
  lab.weight_gradient(512, 64, 384);
  lab.weight_gradient(512, 384, 64);
  lab.weight_gradient(512, 384, 1536);
  for (const int64_t length : {13, 32, 64, 128, 256}) lab.attention(length, 32);
  lab.attention(128, 64);
  lab.elementwise();
  lab.pool_cost();
  lab.measure_roof();
}
