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
  return std::any_of(op.operands.begin(), op.operands.end(),
                     [&](uint32_t number) { return is_task(program, number); });
}

// Operands of an op that is cut: weights as they are, and activations whose rows are those of tokens or of sequences.
void check_cuttable(const Program& program, const Entry& entry, const OpCall& op) {
  for (size_t i = 0; i < op.operands.size(); ++i) {
    if (op.operands[i] == kNone) continue;
    const Buffer& buffer = program.buffers[op.operands[i]];
    const auto is_constant = [](const Dim& dim) { return dim.kind == Dim::Kind::constant; };
    const bool rows = buffer.storage == Storage::activation && buffer.rank >= 1 &&
                      (buffer.dims[0].kind == Dim::Kind::tokens || buffer.dims[0].kind == Dim::Kind::sequences) &&
                      std::all_of(buffer.dims + 1, buffer.dims + buffer.rank, is_constant);
    if (rows || buffer.storage == Storage::task || buffer.storage == Storage::frozen) continue;
    const std::string operand(op.info->operand_list[i].name);
    throw Error("ERR_PROGRAM",
                "entry \"" + entry.name + "\": " + op.label() + " reads weights of a task, so its operand \"" +
                    operand + "\" must be a weight, or an activation with a row for every token or sequence",
                {{"entry", entry.name}, {"node", op.name}, {"operand", operand}});
  }
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
    if (grouped_.back()) check_cuttable(program, entry, op);
  }
}

void TaskGroups::cut(const BoundOps& ops, const Batch& batch, const StagedStep& step,
                     std::span<const TaskPlaces> places) {
  const auto groups = static_cast<size_t>(batch.groups);
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
    } else if (numbers[i] != kNone && operand.storage == Storage::activation) {
      const bool tokens = program_.buffers[numbers[i]].dims[0].kind == Dim::Kind::tokens;
      const int64_t begin = tokens ? rows.tokens : rows.sequences;
      const int64_t end = tokens ? rows.tokens_end : rows.sequences_end;
      const int64_t width = operand.shape[0] > 0 ? operand.size() / operand.shape[0] : 0;
      operand.data = operand.f32() + begin * width;
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
