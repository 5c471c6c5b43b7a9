// The adapter forward on tensor cores against loops in f64, over every shape of the kernel, in several orders of blocks
// and threads: rows behind the last tile, widths that fill no warp, bottlenecks that fill no product, dropout.
#define OA_ISA cuda
#include "ops/adapter_tensor.cuh"

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "../check.h"
#include "block.h"
#include "cuda/check.h"

namespace oa::selftest {
namespace {

using namespace oa::cuda;

struct Case {
  int64_t rows;
  int columns;
  int bottleneck;
  float dropout = 0;
  bool saves = true;  // xhat, rstd and z
};

std::string name_of(const Case& c) {
  return "adapter on tensor cores, " + std::to_string(c.rows) + " rows of " + std::to_string(c.columns) +
         ", bottleneck " + std::to_string(c.bottleneck) + (c.dropout > 0 ? ", dropout" : "") +
         (c.saves ? "" : ", nothing saved");
}

// In [-size, size].
std::vector<float> noise(int64_t count, uint32_t seed, float size) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = size * (static_cast<float>(seed >> 8) / 8388608.0f - 1.0f);
  }
  return values;
}

// Device memory of one test.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory() {
    for (void* block : blocks_) cudaFree(block);
  }

  template <class T>
  T* allocate(int64_t count) {
    void* block = nullptr;
    cuda::check(cudaMalloc(&block, static_cast<size_t>(count) * sizeof(T)), "a test");
    blocks_.push_back(block);
    return static_cast<T*>(block);
  }
  template <class T>
  T* hold(const std::vector<T>& values) {
    T* const block = allocate<T>(static_cast<int64_t>(values.size()));
    cuda::check(cudaMemcpy(block, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "a test");
    return block;
  }
  template <class T>
  static std::vector<T> read(const T* from, int64_t count) {
    std::vector<T> values(static_cast<size_t>(count));
    cuda::check(cudaMemcpy(values.data(), from, values.size() * sizeof(T), cudaMemcpyDeviceToHost), "a test");
    return values;
  }

 private:
  std::vector<void*> blocks_;
};

float round_to_bf16(float value) { return bf16_to_float(float_to_bf16(value)); }

std::vector<Bf16> narrowed(std::vector<float>& values) {
  std::vector<Bf16> bits;
  for (float& value : values) {
    value = round_to_bf16(value);
    bits.push_back({float_to_bf16(value)});
  }
  return bits;
}

struct Numbers {
  explicit Numbers(const Case& c)
      : x(noise(c.rows * c.columns, 1, 1)),
        residual(noise(c.rows * c.columns, 2, 1)),
        down_w(noise(int64_t{c.bottleneck} * c.columns, 3, 0.1f)),
        up_w(noise(int64_t{c.bottleneck} * c.columns, 4, 0.2f)),
        down_b(noise(c.bottleneck, 5, 1)),
        up_b(noise(c.columns, 6, 0.5f)),
        gamma(noise(c.columns, 7, 2)),
        beta(noise(c.columns, 8, 1)) {}

  std::vector<float> x, residual, down_w, up_w, down_b, up_b, gamma, beta;
};

struct Result {
  std::vector<double> y, xhat, rstd, z;
};

constexpr StepScalars kScalars{0.1f, 5, 0xfeedfeedfeedull, 1};
constexpr uint32_t kRng = 7;
constexpr float kEpsilon = 1e-5f;

double gelu(double u) { return 0.5 * u * std::erfc(-u * 0.70710678118654752); }

// The roundings of the kernel's contract are taken over, so that what is left is small.
Result reference(const Case& c, const Numbers& n) {
  const DropoutMask mask(c.dropout, kRng, &kScalars);
  Result result;
  const auto width = static_cast<size_t>(c.columns), units = static_cast<size_t>(c.bottleneck);
  std::vector<double> a(width), rounded(width), s(width), hidden(units);
  for (size_t row = 0; row < static_cast<size_t>(c.rows); ++row) {
    for (size_t i = 0; i < width; ++i) {
      const size_t at = row * width + i;
      const float kept = c.dropout > 0 ? mask.one(static_cast<int64_t>(at), 0) : 1.0f;
      a[i] = static_cast<double>(n.x[at]) * static_cast<double>(kept);
      rounded[i] = static_cast<double>(round_to_bf16(n.x[at])) * static_cast<double>(kept);
    }
    for (size_t m = 0; m < units; ++m) {
      double z = static_cast<double>(n.down_b[m]);
      for (size_t i = 0; i < width; ++i) z += rounded[i] * static_cast<double>(n.down_w[m * width + i]);
      result.z.push_back(z);
      hidden[m] = static_cast<double>(round_to_bf16(static_cast<float>(gelu(z))));
    }
    double mean = 0, square = 0;
    for (size_t i = 0; i < width; ++i) {
      s[i] = a[i] + static_cast<double>(n.residual[row * width + i]) + static_cast<double>(n.up_b[i]);
      for (size_t m = 0; m < units; ++m) s[i] += hidden[m] * static_cast<double>(n.up_w[i * units + m]);
      mean += s[i] / static_cast<double>(width);
    }
    for (const double value : s) square += (value - mean) * (value - mean) / static_cast<double>(width);
    result.rstd.push_back(1 / std::sqrt(square + static_cast<double>(kEpsilon)));
    for (size_t i = 0; i < width; ++i) {
      result.xhat.push_back((s[i] - mean) * result.rstd.back());
      result.y.push_back(result.xhat.back() * static_cast<double>(n.gamma[i]) + static_cast<double>(n.beta[i]));
    }
  }
  return result;
}

std::vector<double> widened(const std::vector<Bf16>& values) {
  std::vector<double> all;
  for (const Bf16 value : values) all.push_back(static_cast<double>(widen(value)));
  return all;
}

Result run_kernel(const Case& c, Numbers n, Stream& stream) {
  Memory memory;
  // Rows of up_w are rounded up to 8, with zeros.
  const int stride = (c.bottleneck + 7) / 8 * 8;
  std::vector<float> up_w(static_cast<size_t>(c.columns * stride));
  for (int i = 0; i < c.columns * c.bottleneck; ++i) {
    up_w[static_cast<size_t>(i / c.bottleneck * stride + i % c.bottleneck)] = n.up_w[static_cast<size_t>(i)];
  }
  const int64_t all = c.rows * c.columns, hidden = c.rows * c.bottleneck;
  AdapterTensorForward ad{};
  ad.y = memory.allocate<Bf16>(all);
  ad.xhat = c.saves ? memory.allocate<Bf16>(all) : nullptr;
  ad.rstd = c.saves ? memory.allocate<float>(c.rows) : nullptr;
  ad.z = c.saves ? memory.allocate<Bf16>(hidden) : nullptr;
  ad.x = memory.hold(n.x);
  ad.residual = memory.hold(narrowed(n.residual));
  ad.down_w = memory.hold(narrowed(n.down_w));
  ad.up_w = memory.hold(narrowed(up_w));
  ad.down_b = memory.hold(n.down_b);
  ad.up_b = memory.hold(n.up_b);
  ad.gamma = memory.hold(n.gamma);
  ad.beta = memory.hold(n.beta);
  ad.rows = c.rows;
  ad.columns = c.columns;
  ad.bottleneck = c.bottleneck;
  ad.up_stride = stride;
  ad.activation = activation_gelu;
  ad.epsilon = kEpsilon;
  ad.dropout = {c.dropout, kRng, memory.hold(std::vector<StepScalars>{kScalars})};
  adapter_forward_tensor(stream, "adapter", ad);
  stream.wait();
  Result result;
  result.y = widened(Memory::read(ad.y, all));
  if (!c.saves) return result;
  result.xhat = widened(Memory::read(ad.xhat, all));
  result.z = widened(Memory::read(ad.z, hidden));
  for (const float rstd : Memory::read(ad.rstd, c.rows)) result.rstd.push_back(static_cast<double>(rstd));
  return result;
}

// The largest part of its budget that an element uses: half a step of bf16, and a floor for hidden units that round the
// other way, and for sums in f32.
double worst(const std::vector<double>& got, const std::vector<double>& wanted, double relative, double floor) {
  if (got.size() != wanted.size()) return 1e30;
  double most = 0;
  for (size_t i = 0; i < got.size(); ++i) {
    const double part = std::abs(got[i] - wanted[i]) / (relative * std::abs(wanted[i]) + floor);
    if (!(part < 1e30)) return 1e30;
    most = std::max(most, part);
  }
  return most;
}

void compare(const Case& c) {
  constexpr double kHalfStep = 1.0 / 256, kFloor = 2e-3;
  Numbers numbers(c);
  for (auto* matrix : {&numbers.residual, &numbers.down_w, &numbers.up_w}) narrowed(*matrix);
  const Result wanted = reference(c, numbers);
  Result first;
  for (const uint64_t order : {0, 1, 2}) {
    standin::set_order(order);
    Stream stream(0, Precision::fp32);
    const Result got = run_kernel(c, numbers, stream);
    OA_CHECK(worst(got.y, wanted.y, kHalfStep, kFloor) < 1);
    if (c.saves) {
      OA_CHECK(worst(got.xhat, wanted.xhat, kHalfStep, kFloor) < 1);
      OA_CHECK(worst(got.z, wanted.z, kHalfStep, 1e-4) < 1);
      OA_CHECK(worst(got.rstd, wanted.rstd, 1e-4, 0) < 1);
    }
    if (order == 0) first = got;
    OA_CHECK(got.y == first.y && got.xhat == first.xhat && got.z == first.z && got.rstd == first.rstd);
  }
  standin::set_order(0);
}

}  // namespace

void test_cuda_adapter_tensor() {
  const Case cases[] = {
      {.rows = 1, .columns = 8, .bottleneck = 1},
      {.rows = 33, .columns = 64, .bottleneck = 16},
      {.rows = 130, .columns = 72, .bottleneck = 8, .dropout = 0.5f},  // a block takes more than one tile
      {.rows = 40, .columns = 312, .bottleneck = 33},
      {.rows = 31, .columns = 384, .bottleneck = 64, .dropout = 0.1f},
      {.rows = 17, .columns = 768, .bottleneck = 24},
      {.rows = 101, .columns = 768, .bottleneck = 64, .dropout = 0.1f},
      {.rows = 5, .columns = 768, .bottleneck = 64, .saves = false},
      {.rows = 50, .columns = 1024, .bottleneck = 12},
      {.rows = 49, .columns = 1000, .bottleneck = 64, .dropout = 0.1f},
  };
  for (const Case& c : cases) run(name_of(c), [&] { compare(c); });
}

}  // namespace oa::selftest
