// Where the memory of a session lies and its ops run: this process and its threads, or a GPU. Everything above asks
// only these two classes, so a session is the same on both.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "base/arena.h"
#include "ops/registry.h"
#include "runtime/batch.h"

namespace oa {

// One step as the ops see it: where its inputs are and which shapes they are bound to.
struct StagedStep {
  const void* inputs[kInputs] = {};
  int64_t tokens = 0;  // at least the batch's: a device may round up, see cuda_queue.h
  int64_t sequences = 0;
};

// The ops of one entry, bound to the step's operands.
struct BoundOps {
  std::span<const Call> calls;
  std::span<const OpFunctions* const> functions;  // one for every call
  bool replayable = true;                         // the calls are the same at every step of these shapes
};

// A matrix product c[rows, columns] = a[rows, depth] · b[depth, columns]; a transposed operand is stored the other way.
struct ProductShape {
  int64_t rows = 0;
  int64_t columns = 0;
  int64_t depth = 0;
  bool transpose_a = false;
  bool transpose_b = false;
};

// A plan's own place to run on a device: a pool of threads, or a stream with room for the plan's batches. Used by one
// thread at a time.
class Queue {
 public:
  virtual ~Queue() = default;

  // Fills in what ops of this queue find in their call besides operands and attributes.
  virtual void attach(Call& call) const = 0;

  // Brings what changes from step to step to where the ops read it.
  virtual StagedStep stage(const Batch& batch, const StepScalars& scalars) = 0;

  // Runs every op, in order; done when it returns.
  virtual void run(const BoundOps& ops) = 0;

  // The same, noting what each op takes.
  virtual void run_timed(const BoundOps& ops, std::span<double> milliseconds) = 0;

  // The best rate of multiply-adds, two operations each, of short windows over about so many milliseconds; a second.
  virtual double measure_roof(double milliseconds) = 0;

  // The same for products of one shape, in the precision of the steps; on a CPU that of multiply-adds, whatever the
  // shape.
  virtual double measure_product(const ProductShape&, double milliseconds) { return measure_roof(milliseconds); }
};

// In which numbers a GPU computes; a CPU has float32 alone. In bfloat16 programs may store values as bf16.
enum class DevicePrecision { float32, tf32, bfloat16 };

class Device {
 public:
  virtual ~Device() = default;

  // "avx2", "cuda:0", "cuda:0/bfloat16"
  virtual std::string_view name() const = 0;

  // Indexed by opcode.
  virtual const OpFunctions* table() const = 0;

  // How its products read a frozen matrix; null where they read plain rows, whatever the form.
  virtual const PackFunctions* packing() const = 0;

  // Aligned to 64 bytes, zeroed. Throws ERR_MEMORY with the size and `what`.
  virtual std::shared_ptr<Arena> allocate(size_t bytes, const char* what) const = 0;

  // Copies and fills, done when they return.
  virtual void read(void* host, const void* device, size_t bytes) const = 0;
  virtual void write(void* device, const void* host, size_t bytes) const = 0;
  virtual void fill(void* device, unsigned char byte, size_t bytes) const = 0;

  // Whether programs and weights may have values in bf16.
  virtual bool stores_bf16() const { return false; }

  // Whether `read` and `write` are needed at all: false where the memory is this process's own.
  virtual bool is_remote() const = 0;

  // For steps of the program up to its capacity; the program must outlive it. `threads` counts the calling thread; a
  // GPU needs no others.
  virtual std::unique_ptr<Queue> make_queue(const Program& program, int threads) const = 0;
};

// The device of one CPU backend, which must outlive it.
std::shared_ptr<const Device> cpu_device(const CpuBackend& backend);

// The device of that name: an instruction set of this CPU, "cuda" or "cuda:<index>", there with "/tf32" or
// "/bfloat16" behind it where the precision is not float32. Throws ERR_DEVICE with the reason.
std::shared_ptr<const Device> find_device(std::string_view name);

}  // namespace oa
