// The CPU: memory of this process, a pool of threads, the kernels of one instruction set.
#include <algorithm>
#include <chrono>
#include <cstring>

#include "runtime/device.h"

namespace oa {
namespace {

using Clock = std::chrono::steady_clock;

class CpuQueue final : public Queue {
 public:
  CpuQueue(const CpuBackend& backend, int threads) : backend_(backend), pool_(std::max(1, threads)) {}

  void attach(Call& call) const override {
    call.pool = &pool_;
    call.scalars = &scalars_;
  }

  // Ops read the batch where the caller has it.
  StagedStep stage(const Batch& batch, const StepScalars& scalars) override {
    scalars_ = scalars;
    return {{batch.ids, batch.types, batch.cu, batch.labels}, batch.tokens(), batch.sequences()};
  }

  void run(const BoundOps& ops) override {
    for (size_t i = 0; i < ops.calls.size(); ++i) ops.functions[i]->run(ops.calls[i]);
  }

  // One reading of the clock between ops, so that nothing of the run is in no op's time.
  void run_timed(const BoundOps& ops, std::span<double> milliseconds) override {
    auto before = Clock::now();
    for (size_t i = 0; i < ops.calls.size(); ++i) {
      ops.functions[i]->run(ops.calls[i]);
      const auto after = Clock::now();
      milliseconds[i] = std::chrono::duration<double, std::milli>(after - before).count();
      before = after;
    }
  }

  double measure_roof(double milliseconds) override {
    using Seconds = std::chrono::duration<double>;
    // A window is long against waking the threads, and short against the time slices of what else the machine does.
    constexpr double kWindow = 1e-3;
    constexpr int64_t kMostRounds = int64_t{1} << 40;
    const auto started = Clock::now();
    double best = 0;
    int64_t rounds = 1 << 12;
    do {
      const auto before = Clock::now();
      const auto operations = static_cast<double>(backend_.run_multiply_adds(pool_, rounds));
      const double seconds = std::max(Seconds(Clock::now() - before).count(), 1e-9);
      if (seconds < kWindow / 2 && rounds < kMostRounds)
        rounds *= 2;  // not a whole window yet
      else
        best = std::max(best, operations / seconds);
    } while (best == 0 || Seconds(Clock::now() - started).count() * 1e3 < milliseconds);
    return best;
  }

 private:
  const CpuBackend& backend_;
  mutable ThreadPool pool_;
  StepScalars scalars_;
};

class CpuDevice final : public Device {
 public:
  explicit CpuDevice(const CpuBackend& backend) : backend_(backend) {}

  std::string_view name() const override { return backend_.isa; }
  const OpFunctions* table() const override { return backend_.table; }
  const PackFunctions* packing() const override { return &backend_.weights; }
  std::shared_ptr<Arena> allocate(size_t bytes, const char* what) const override {
    return Arena::allocate(bytes, what);
  }
  void read(void* host, const void* device, size_t bytes) const override {
    if (bytes > 0) std::memcpy(host, device, bytes);
  }
  void write(void* device, const void* host, size_t bytes) const override {
    if (bytes > 0) std::memcpy(device, host, bytes);
  }
  void fill(void* device, unsigned char byte, size_t bytes) const override {
    if (bytes > 0) std::memset(device, byte, bytes);
  }
  bool is_remote() const override { return false; }
  std::unique_ptr<Queue> make_queue(const Program&, int threads) const override {
    return std::make_unique<CpuQueue>(backend_, threads);
  }

 private:
  const CpuBackend& backend_;
};

}  // namespace

std::shared_ptr<const Device> cpu_device(const CpuBackend& backend) { return std::make_shared<CpuDevice>(backend); }

}  // namespace oa
