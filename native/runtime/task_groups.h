// Rows of several tasks in one step: ops that read weights of a task run once for each group of rows, on that group's
// rows and that task's weights; all others run over the whole batch. Inference alone.
#pragma once

#include <span>
#include <vector>

#include "runtime/device.h"
#include "runtime/program.h"
#include "runtime/weights.h"

namespace oa {

// Where the `task` buffers of a program lie for one task, by buffer number; null elsewhere.
using TaskPlaces = std::vector<void*>;

// Throws ERR_WEIGHTS naming a key that is missing or of another shape.
TaskPlaces place_task(const Program& program, const Weights& weights);

// Whether the entry reads weights of a task, so that each batch has to say which.
bool reads_task(const Program& program, const Entry& entry);

// The ops of one entry, cut for one step. Keeps its memory from step to step.
class TaskGroups {
 public:
  TaskGroups(const Program& program, const Entry& entry);

  // `ops` are the entry's, bound to `step`; the batch has been checked. `places` by task number. Throws ERR_BATCH for
  // several groups where an op with weights of a task also reads tokens or lengths (embeddings that were trained).
  void cut(const BoundOps& ops, const Batch& batch, const StagedStep& step, std::span<const TaskPlaces> places);

  BoundOps ops() const { return {calls_, functions_, false}; }

  // Those of the i-th op of the entry.
  BoundOps ops_of(size_t op) const;

 private:
  struct Rows {
    int64_t tokens, tokens_end, sequences, sequences_end;
  };
  void append_slice(const Call& call, size_t op, const Rows& rows, const TaskPlaces& places);

  const Program& program_;
  const Entry& entry_;
  std::vector<bool> grouped_;           // by op
  const OpCall* uncuttable_ = nullptr;  // the first, where there are any
  std::vector<Operand> operands_;       // of all calls of the step
  std::vector<Call> calls_;
  std::vector<const OpFunctions*> functions_;
  std::vector<size_t> first_;  // of each op among calls_, and the end
};

}  // namespace oa
