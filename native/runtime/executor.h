// Runs the entries of one program on the memory of one session.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "runtime/batch.h"
#include "runtime/device.h"
#include "runtime/program.h"
#include "runtime/task_groups.h"
#include "runtime/weights.h"

namespace oa {

// Where each storage begins. `frozen` and `input` have no place here: weights know theirs, batches bring theirs.
struct Memory {
  float* parameters = nullptr;
  float* gradients = nullptr;
  float* moment1 = nullptr;
  float* moment2 = nullptr;
  uint16_t* working = nullptr;  // bf16
  char* activations = nullptr;
};

class Executor {
 public:
  // Checks every op at capacity with the device's check_<op>; throws ERR_PROGRAM naming the op. All references must
  // outlive the executor; `program` is validated already, and `queue` was made for it.
  Executor(const Program& program, const Weights& weights, const Memory& memory, Queue& queue);
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Bytes of scratch that the entries need; to be given before the first run.
  int64_t scratch_bytes() const { return scratch_bytes_; }
  void set_scratch(char* scratch);

  // Weights of the task of that number, or null: batches cannot name it any more. Throws ERR_PROGRAM naming a key that
  // is missing or of another shape, and then nothing changed.
  void set_task(size_t number, const Weights* weights);

  // From now on each run notes how long each of its ops takes.
  void enable_timing();

  // Checks the batch (ERR_BATCH, ERR_CAPACITY), binds and runs every op. Allocates nothing unless it throws.
  void run(size_t entry, const Batch& batch, const StepScalars& scalars);

  // Milliseconds of every op in the last run of `entry`; empty without timing.
  std::span<const double> op_milliseconds(size_t entry) const { return entries_[entry].milliseconds; }

  // Where a buffer of f32 lies on the device, over the shape it had in the last run of `entry`.
  std::span<const float> result(size_t entry, uint32_t buffer) const;

  // How many elements that shape has; 0 for what no op writes.
  size_t result_size(size_t entry, uint32_t buffer) const;

  // Copies them from the device, bf16 widened, dense, where it may have rounded up T or B. Only the first and the last
  // dimension of a shape may hold them.
  void read(size_t entry, uint32_t buffer, float* values) const;

 private:
  struct InputSlot {
    size_t operand = 0;
    Input input = Input::ids;
  };
  struct BoundEntry {
    BatchRules rules;
    std::vector<Operand> operands;  // of all ops, one after the other
    std::vector<uint32_t> buffers;  // the buffer of each operand, or kNone
    std::vector<size_t> symbolic;   // operands whose shape holds T or B
    std::vector<InputSlot> inputs;  // operands whose data each batch brings
    std::vector<Call> calls;
    std::vector<const OpFunctions*> functions;
    std::optional<TaskGroups> groups;    // of an entry that reads weights of tasks
    std::vector<double> milliseconds;    // of each op, where times are noted
    std::vector<int64_t> scratch_bytes;  // of each op, at capacity
    int64_t tokens = -1;                 // what the shapes are bound to
    int64_t sequences = -1;
    int64_t batch_tokens = 0;  // of the last run
    int64_t batch_sequences = 0;
  };

  BoundEntry bind_entry(const Entry& entry);
  Operand bind_buffer(const Buffer& buffer) const;
  void bind_shapes(BoundEntry& bound, int64_t tokens, int64_t sequences) const;
  static void bind_inputs(BoundEntry& bound, const StagedStep& step);
  void cut(BoundEntry& bound, const Batch& batch, const StagedStep& step) const;
  void run_cut(BoundEntry& bound);
  void run_watched(size_t entry, const BoundEntry& bound) const;
  void check_ops(const Entry& entry, BoundEntry& bound);

  const Program& program_;
  const Weights& weights_;
  Memory memory_;
  Queue& queue_;
  int64_t scratch_bytes_ = 0;
  std::vector<BoundEntry> entries_;
  std::vector<TaskPlaces> tasks_;  // by number; empty where there is none
};

}  // namespace oa
