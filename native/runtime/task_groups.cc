#include "runtime/task_groups.h"

#include <algorithm>

#include "base/error.h"
#include "runtime/validate.h"

namespace oa {
namespace {

bool is_task(const Program& program, uint32_t number) {
  return number != kNone && program.buffers[number].storage == Storage::task;
}

bool reads_task(const Program& program, const OpCall& op) {
  return std::any_of(op.operands.begin(), op.operands.end(), [&](uint32_t number) { return is_task(program, number); });
}

// Whether the operands of an op are weights, taken as they are, or activations with a row for every token or sequence.
bool is_cuttable(const Program& program, const OpCall& op) {
  return std::all_of(op.operands.begin(), op.operands.end(), [&](uint32_t number) {
    if (number == kNone) return true;
    const Buffer& buffer = program.buffers[number];
    if (buffer.storage == Storage::task || buffer.storage == Storage::frozen) return true;
    const auto is_constant = [](const Dim& dim) { return dim.kind == Dim::Kind::constant; };
    return buffer.storage == Storage::activation && buffer.rank >= 1 &&
           (buffer.dims[0].kind == Dim::Kind::tokens || buffer.dims[0].kind == Dim::Kind::sequences) &&
           std::all_of(buffer.dims + 1, buffer.dims + buffer.rank, is_constant);
  });
}

}  // namespace

TaskPlaces place_task(const Program& program, const Weights& weights) {
  TaskPlaces places(program.buffers.size(), nullptr);
  for (size_t i = 0; i < places.size(); ++i) {
    const Buffer& buffer = program.buffers[i];
    if (buffer.storage == Storage::task) places[i] = find_weight(buffer, weights).data;
  }
  return places;
}

bool reads_task(const Program& program, const Entry& entry) {
  return std::any_of(entry.ops.begin(), entry.ops.end(), [&](const OpCall& op) { return reads_task(program, op); });
}

TaskGroups::TaskGroups(const Program& program, const Entry& entry) : program_(program), entry_(entry) {
  for (const OpCall& op : entry.ops) {
    grouped_.push_back(reads_task(program, op));
    if (grouped_.back() && !is_cuttable(program, op) && !uncuttable_) uncuttable_ = &op;
  }
}

void TaskGroups::cut(const BoundOps& ops, const Batch& batch, const StagedStep& step,
                     std::span<const TaskPlaces> places) {
  const auto groups = static_cast<size_t>(batch.groups);
  if (groups > 1 && uncuttable_) {
    throw Error("ERR_BATCH",
                "the batch is not valid: it has rows of " + std::to_string(groups) + " tasks, but " +
                    uncuttable_->label() + " can read the weights of one alone",
                {{"field", "tasks"}, {"node", uncuttable_->name}});
  }
  size_t calls = 0, operands = 0;
  for (size_t i = 0; i < grouped_.size(); ++i) {
    calls += grouped_[i] ? groups : 1;
    operands += grouped_[i] ? groups * entry_.ops[i].operands.size() : 0;
  }
  operands_.clear();
  operands_.reserve(operands);  // calls point into it
  calls_.clear();
  calls_.reserve(calls);
  functions_.clear();
  functions_.reserve(calls);
  first_.clear();
  for (size_t i = 0; i < grouped_.size(); ++i) {
    first_.push_back(calls_.size());
    if (grouped_[i]) {
      Rows rows{0, 0, 0, 0};
      for (size_t g = 0; g < groups; ++g) {
        const bool last = g + 1 == groups;  // takes the rows that a device adds
        rows = {rows.tokens_end, last ? step.tokens : batch.cu[batch.task_ends[g]], rows.sequences_end,
                last ? step.sequences : batch.task_ends[g]};
        append_slice(ops.calls[i], i, rows, places[static_cast<size_t>(batch.tasks[g])]);
      }
    } else {
      calls_.push_back(ops.calls[i]);
    }
    functions_.resize(calls_.size(), ops.functions[i]);
  }
  first_.push_back(calls_.size());
}

void TaskGroups::append_slice(const Call& call, size_t op, const Rows& rows, const TaskPlaces& places) {
  const Operand* const first = operands_.data() + operands_.size();
  const std::vector<uint32_t>& numbers = entry_.ops[op].operands;
  for (size_t i = 0; i < numbers.size(); ++i) {
    Operand operand = call[static_cast<int>(i)];
    if (is_task(program_, numbers[i])) {
      operand.data = places[numbers[i]];
    } else if (!uncuttable_ && numbers[i] != kNone && operand.storage == Storage::activation) {
      const bool tokens = program_.buffers[numbers[i]].dims[0].kind == Dim::Kind::tokens;
      const int64_t begin = tokens ? rows.tokens : rows.sequences;
      const int64_t end = tokens ? rows.tokens_end : rows.sequences_end;
      const int64_t width = operand.shape[0] > 0 ? operand.size() / operand.shape[0] : 0;
      operand.data = static_cast<char*>(operand.data) + begin * width * dtype_bytes(operand.dtype);
      operand.shape[0] = end - begin;
    }
    operands_.push_back(operand);
  }
  Call slice = call;
  slice.operands = first;
  calls_.push_back(slice);
}

BoundOps TaskGroups::ops_of(size_t op) const {
  const size_t begin = first_[op], count = first_[op + 1] - begin;
  return {{calls_.data() + begin, count}, {functions_.data() + begin, count}, false};
}

}  // namespace oa
