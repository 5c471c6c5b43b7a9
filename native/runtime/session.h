// What one training run owns: parameters and their companions, activations, scratch, threads, the program.
#pragma once

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/arena.h"
#include "runtime/batch.h"
#include "runtime/executor.h"
#include "runtime/program.h"
#include "runtime/weights.h"

namespace oa {

// The storages that are flat buffers of one layout.
constexpr std::array kSlots = {Storage::parameter, Storage::gradient, Storage::moment1, Storage::moment2};
constexpr size_t slot_index(Storage slot) { return static_cast<size_t>(slot) - static_cast<size_t>(kSlots[0]); }

struct SessionOptions {
  int threads = 1;  // the calling thread counts
  // Fills activations and scratch with NaN before every step, so a test sees what is read before it is written.
  bool poison = false;
  // Notes the time of every op of a step.
  bool timing = false;
};

struct StepResult {
  float loss = 0;  // NaN where the entry has none
  float norm = 0;
  double milliseconds = 0;
};

struct MemoryReport {      // bytes
  int64_t parameters = 0;  // with gradients and moments, where there are any
  int64_t activations = 0;
  int64_t scratch = 0;
  int64_t tasks = 0;   // weights of all tasks
  int64_t frozen = 0;  // shared with other sessions
};

// One thread at a time; oa::Weights may be shared by sessions on several.
class Session {
 public:
  // Decodes, validates, allocates. Throws ERR_PROGRAM, ERR_MEMORY. Parameters and moments start as zeros.
  Session(std::shared_ptr<const Weights> weights, std::span<const std::byte> program, const SessionOptions& options);

  // Runs one step on the calling thread and the pool, or the GPU. Throws ERR_BATCH, ERR_CAPACITY before anything
  // changed. Allocates no memory.
  StepResult run(size_t entry, const Batch& batch);

  // The output buffer of the entry after its last run; empty where it has none. Valid until the next run or `buffer`.
  std::span<const float> output(size_t entry);

  // Milliseconds of every op in the last run of the entry; empty without timing. Valid until the next run.
  std::span<const double> op_milliseconds(size_t entry) const { return plan_->executor->op_milliseconds(entry); }

  // The best rate of multiply-adds that this session's threads, or its GPU, reach in short windows, over about so many
  // milliseconds; floating-point operations a second, a multiply-add counting as two.
  double measure_roof(double milliseconds) { return plan_->queue->measure_roof(milliseconds); }

  // The same for matrix products of one shape. Throws ERR_MEMORY where there is no room for its operands.
  double measure_product(const ProductShape& shape, double milliseconds) {
    return plan_->queue->measure_product(shape, milliseconds);
  }

  // Weights of one more task, by keys of the program's `task` buffers: the number that batches name it by, the lowest
  // that is free. Throws ERR_WEIGHTS, ERR_PROGRAM naming a key that is missing or of another shape, ERR_MEMORY.
  size_t add_task(std::span<const WeightEntry> entries);

  // Frees the weights of a task. Throws ERR_OPTION where there is none of that number.
  void remove_task(size_t number);

  // Takes another program, as a rule one of larger capacity, for the same flat buffers, which are kept. Throws like the
  // constructor, and then nothing changed.
  void replan(std::span<const std::byte> program);

  // parameter, gradient, moment1 or moment2: the whole flat buffer, in the device's memory, or null where the program
  // names no tensor of it.
  const std::shared_ptr<Arena>& slot(Storage storage) const;

  // Copies a whole flat buffer, `parameters()` floats; the session has it.
  void read_slot(Storage storage, float* values) const;
  void write_slot(Storage storage, const float* values);

  int64_t parameters() const { return parameters_; }
  const Program& program() const { return plan_->program; }
  // Any buffer that the program writes, as the last run of the entry left it. Valid until the next run or `output`.
  std::span<const float> buffer(size_t entry, uint32_t number);
  const Device& device() const { return weights_->device(); }
  MemoryReport memory() const;

 private:
  struct Plan {
    Program program;
    std::shared_ptr<Arena> activations;
    std::shared_ptr<Arena> scratch;
    std::unique_ptr<Queue> queue;  // before what holds on to it
    std::unique_ptr<Executor> executor;
  };

  void allocate_slots(const Program& program);
  void check_replan(const Program& program) const;
  std::unique_ptr<Plan> make_plan(Program program);
  void poison() const;
  float scalar(size_t entry, uint32_t number) const;

  std::shared_ptr<const Weights> weights_;
  SessionOptions options_;
  int64_t parameters_ = 0;
  uint32_t step_ = 0;                                        // optimizer steps so far, where batches do not say
  std::array<std::shared_ptr<Arena>, kSlots.size()> slots_;  // null where the program names none of it
  std::shared_ptr<Arena> working_;                           // the parameters in bf16, where the program reads them so
  std::vector<std::shared_ptr<const Weights>> tasks_;        // by number; null where one was removed
  std::unique_ptr<Plan> plan_;
  std::vector<float> mirror_;  // of a buffer in the memory of another device
};

}  // namespace oa
