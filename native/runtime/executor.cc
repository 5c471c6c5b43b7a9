#include "runtime/executor.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "runtime/guards.h"

namespace oa {
namespace {

bool is_symbolic(const Buffer& buffer) {
  return std::any_of(buffer.dims, buffer.dims + buffer.rank,
                     [](const Dim& dim) { return dim.kind != Dim::Kind::constant; });
}

}  // namespace

Executor::Executor(const Program& program, const Weights& weights, const Memory& memory, Queue& queue)
    : program_(program), weights_(weights), memory_(memory), queue_(queue) {
  entries_.reserve(program.entries.size());
  for (const Entry& entry : program.entries) {
    entries_.push_back(bind_entry(entry));
    bind_shapes(entries_.back(), program.tokens, program.sequences);
    check_ops(entry, entries_.back());
  }
}

Executor::BoundEntry Executor::bind_entry(const Entry& entry) {
  BoundEntry bound;
  bound.rules = BatchRules(program_, entry);
  if (bound.rules.grouped()) bound.groups.emplace(program_, entry);
  for (const OpCall& op : entry.ops) {
    for (const uint32_t number : op.operands) {
      const size_t slot = bound.operands.size();
      bound.buffers.push_back(number);
      bound.operands.push_back(number == kNone ? Operand{} : bind_buffer(program_.buffers[number]));
      if (number == kNone) continue;
      const Buffer& buffer = program_.buffers[number];
      if (is_symbolic(buffer)) bound.symbolic.push_back(slot);
      if (buffer.storage == Storage::input) bound.inputs.push_back({slot, static_cast<Input>(buffer.offset)});
    }
  }
  const Operand* next = bound.operands.data();
  for (const OpCall& op : entry.ops) {
    Call& call = bound.calls.emplace_back();
    call.operands = next;
    call.attributes = op.attributes.data();
    queue_.attach(call);
    bound.functions.push_back(weights_.device().table() + op.info->code);
    next += op.operands.size();
  }
  return bound;
}

Operand Executor::bind_buffer(const Buffer& buffer) const {
  Operand operand;
  operand.rank = buffer.rank;
  operand.storage = buffer.storage;
  operand.form = buffer.form;
  operand.dtype = buffer.dtype;
  for (int32_t i = 0; i < buffer.rank; ++i) operand.shape[i] = buffer.dims[i].value;
  switch (buffer.storage) {
    case Storage::input:
    case Storage::task: operand.data = memory_.activations; break;  // present; each batch brings the real place
    case Storage::frozen: operand.data = weights_.find(buffer.key)->data; break;
    case Storage::parameter: operand.data = memory_.parameters + buffer.offset; break;
    case Storage::gradient: operand.data = memory_.gradients + buffer.offset; break;
    case Storage::moment1: operand.data = memory_.moment1 + buffer.offset; break;
    case Storage::moment2: operand.data = memory_.moment2 + buffer.offset; break;
    case Storage::working: operand.data = memory_.working + buffer.offset; break;
    case Storage::activation: operand.data = memory_.activations + buffer.offset; break;
  }
  return operand;
}

void Executor::bind_shapes(BoundEntry& bound, int64_t tokens, int64_t sequences) const {
  if (bound.tokens == tokens && bound.sequences == sequences) return;
  for (const size_t slot : bound.symbolic) {
    const Buffer& buffer = program_.buffers[bound.buffers[slot]];
    for (int32_t i = 0; i < buffer.rank; ++i) bound.operands[slot].shape[i] = buffer.dims[i].bind(tokens, sequences);
  }
  bound.tokens = tokens;
  bound.sequences = sequences;
}

void Executor::bind_inputs(BoundEntry& bound, const StagedStep& step) {
  for (const InputSlot& slot : bound.inputs) {
    bound.operands[slot.operand].data = const_cast<void*>(step.inputs[static_cast<size_t>(slot.input)]);
  }
}

// Asks every op whether it accepts its operands at capacity, and how much scratch it wants there.
void Executor::check_ops(const Entry& entry, BoundEntry& bound) {
  for (size_t i = 0; i < entry.ops.size(); ++i) {
    const OpCall& op = entry.ops[i];
    if (const char* problem = bound.functions[i]->check(bound.calls[i])) {
      throw Error("ERR_PROGRAM", "entry \"" + entry.name + "\": " + op.label() + ": " + problem,
                  {{"entry", entry.name}, {"op", std::string(op.info->name)}, {"node", op.name}});
    }
    bound.scratch_bytes.push_back(bound.functions[i]->scratch(bound.calls[i]));
    scratch_bytes_ = std::max(scratch_bytes_, bound.scratch_bytes.back());
  }
}

void Executor::set_scratch(char* scratch) {
  for (BoundEntry& bound : entries_) {
    for (Call& call : bound.calls) call.scratch = scratch;
  }
}

void Executor::run(size_t entry, const Batch& batch, const StepScalars& scalars) {
  BoundEntry& bound = entries_[entry];
  bound.rules.check(batch);
  const StagedStep step = queue_.stage(batch, scalars);
  bind_shapes(bound, step.tokens, step.sequences);
  bind_inputs(bound, step);
  bound.batch_tokens = batch.tokens();
  bound.batch_sequences = batch.sequences();
  if (bound.groups) cut(bound, batch, step);
  if (program_.guard_bytes > 0) return run_watched(entry, bound);
  if (bound.groups) return run_cut(bound);
  const BoundOps ops{bound.calls, bound.functions};
  if (bound.milliseconds.empty()) return queue_.run(ops);
  queue_.run_timed(ops, bound.milliseconds);
}

void Executor::cut(BoundEntry& bound, const Batch& batch, const StagedStep& step) const {
  for (int64_t g = 0; g < batch.groups; ++g) {
    const int64_t task = batch.tasks[g];
    if (task >= 0 && task < static_cast<int64_t>(tasks_.size()) && !tasks_[static_cast<size_t>(task)].empty()) continue;
    throw Error("ERR_BATCH",
                "the batch is not valid: tasks[" + std::to_string(g) + "] is " + std::to_string(task) +
                    ", which is no task of this session",
                {{"field", "tasks"}, {"index", std::to_string(g)}, {"value", std::to_string(task)}});
  }
  bound.groups->cut({bound.calls, bound.functions}, batch, step, tasks_);
}

// An op's time is that of all its groups.
void Executor::run_cut(BoundEntry& bound) {
  if (bound.milliseconds.empty()) return queue_.run(bound.groups->ops());
  for (size_t op = 0; op < bound.calls.size(); ++op) {
    const BoundOps ops = bound.groups->ops_of(op);
    std::vector<double> milliseconds(ops.calls.size());
    queue_.run_timed(ops, milliseconds);
    bound.milliseconds[op] = std::accumulate(milliseconds.begin(), milliseconds.end(), 0.0);
  }
}

void Executor::set_task(size_t number, const Weights* weights) {
  TaskPlaces places;
  if (weights) places = place_task(program_, *weights);
  if (number >= tasks_.size()) tasks_.resize(number + 1);
  tasks_[number] = std::move(places);
}

void Executor::enable_timing() {
  for (BoundEntry& bound : entries_) bound.milliseconds.assign(bound.calls.size(), 0.0);
}

void Executor::run_watched(size_t entry, const BoundEntry& bound) const {
  const Entry& info = program_.entries[entry];
  const Guards guards(program_, info, weights_.device());
  for (size_t i = 0; i < bound.calls.size(); ++i) {
    const GuardedOp op{info.ops[i], bound.calls[i], bound.scratch_bytes[i]};
    guards.fill(op);
    queue_.run(bound.groups ? bound.groups->ops_of(i) : BoundOps{{&bound.calls[i], 1}, {&bound.functions[i], 1}});
    guards.check(op);
  }
}

size_t Executor::result_size(size_t entry, uint32_t number) const {
  if (number == kNone) return 0;
  const Buffer& buffer = program_.buffers[number];
  if (buffer.storage == Storage::input || buffer.storage == Storage::frozen || buffer.storage == Storage::task)
    return 0;
  const BoundEntry& bound = entries_[entry];
  return static_cast<size_t>(buffer.elements(bound.batch_tokens, bound.batch_sequences));
}

std::span<const float> Executor::result(size_t entry, uint32_t number) const {
  const size_t size = result_size(entry, number);
  if (size == 0) return {};
  return {bind_buffer(program_.buffers[number]).f32(), size};
}

void Executor::read(size_t entry, uint32_t number, float* values) const {
  const size_t size = result_size(entry, number);
  if (size == 0) return;
  const Buffer& buffer = program_.buffers[number];
  const BoundEntry& bound = entries_[entry];
  const Dim& last = buffer.dims[buffer.rank - 1];
  const auto length = static_cast<size_t>(last.bind(bound.batch_tokens, bound.batch_sequences));
  const auto stride = static_cast<size_t>(last.bind(bound.tokens, bound.sequences));
  const size_t run = buffer.rank == 1 || length == stride ? size : length;
  const auto element = static_cast<size_t>(dtype_bytes(buffer.dtype));
  const char* const placed = static_cast<const char*>(bind_buffer(buffer).data);
  std::vector<uint16_t> halves(buffer.dtype == DType::bf16 ? run : 0);
  for (size_t row = 0; row * run < size; ++row) {
    void* const target = halves.empty() ? static_cast<void*>(values + row * run) : halves.data();
    weights_.device().read(target, placed + row * stride * element, run * element);
    std::transform(halves.begin(), halves.end(), values + row * run, bf16_to_float);
  }
}

}  // namespace oa
