#include "runtime/session.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "base/error.h"
#include "runtime/validate.h"

namespace oa {
namespace {

constexpr const char* kSlotNames[] = {"the parameters", "the gradients", "the first moments", "the second moments"};

// Inference has parameters alone.
bool needs_slot(const Program& program, Storage slot) {
  return slot == Storage::parameter || std::any_of(program.buffers.begin(), program.buffers.end(),
                                                   [slot](const Buffer& buffer) { return buffer.storage == slot; });
}

}  // namespace

Session::Session(std::shared_ptr<const Weights> weights, std::span<const std::byte> program,
                 const SessionOptions& options)
    : weights_(std::move(weights)), options_(options) {
  Program decoded = Program::decode(program);
  allocate_slots(decoded);
  plan_ = make_plan(std::move(decoded));
}

void Session::allocate_slots(const Program& program) {
  parameters_ = program.parameters;
  const int64_t bytes = parameters_ * static_cast<int64_t>(sizeof(float));
  const int64_t guarded = program.guard_bytes > 0 ? (bytes + 63) / 64 * 64 + program.guard_bytes : bytes;
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (needs_slot(program, kSlots[i])) slots_[i] = device().allocate(static_cast<size_t>(guarded), kSlotNames[i]);
  }
  if (needs_slot(program, Storage::working)) {
    const int64_t half = (bytes / 2 + 63) / 64 * 64 + program.guard_bytes;
    working_ = device().allocate(static_cast<size_t>(half), "the working copy of the parameters");
  }
}

std::unique_ptr<Session::Plan> Session::make_plan(Program program) {
  validate(program, *weights_);
  auto plan = std::make_unique<Plan>();
  plan->program = std::move(program);
  plan->activations = device().allocate(static_cast<size_t>(plan->program.arena_bytes), "the activations");
  plan->queue = device().make_queue(plan->program, options_.threads);
  const auto floats = [this](Storage storage) { return slot(storage) ? slot(storage)->floats() : nullptr; };
  const Memory memory{floats(Storage::parameter),
                      floats(Storage::gradient),
                      floats(Storage::moment1),
                      floats(Storage::moment2),
                      working_ ? reinterpret_cast<uint16_t*>(working_->data()) : nullptr,
                      plan->activations->data()};
  plan->executor = std::make_unique<Executor>(plan->program, *weights_, memory, *plan->queue);
  const int64_t scratch = plan->executor->scratch_bytes() + plan->program.guard_bytes;
  plan->scratch = device().allocate(static_cast<size_t>(scratch), "the scratch memory of the ops");
  plan->executor->set_scratch(plan->scratch->data());
  if (options_.timing) plan->executor->enable_timing();
  for (size_t i = 0; i < tasks_.size(); ++i) plan->executor->set_task(i, tasks_[i].get());
  return plan;
}

size_t Session::add_task(std::span<const WeightEntry> entries) {
  const auto weights = std::make_shared<Weights>(weights_->shared_device());
  weights->load(entries, 1);  // a task is small: a thread more would take longer to start
  const auto free = std::find(tasks_.begin(), tasks_.end(), nullptr);
  const auto number = static_cast<size_t>(free - tasks_.begin());
  plan_->executor->set_task(number, weights.get());
  if (number == tasks_.size()) tasks_.emplace_back();
  tasks_[number] = weights;
  return number;
}

void Session::remove_task(size_t number) {
  if (number >= tasks_.size() || !tasks_[number]) {
    throw Error("ERR_OPTION", "the session has no task " + std::to_string(number), {{"option", "task"}});
  }
  plan_->executor->set_task(number, nullptr);
  tasks_[number] = nullptr;
}

void Session::replan(std::span<const std::byte> bytes) {
  Program program = Program::decode(bytes);
  check_replan(program);
  plan_ = make_plan(std::move(program));
}

void Session::check_replan(const Program& program) const {
  if (program.parameters != parameters_ || program.guard_bytes != plan_->program.guard_bytes) {
    throw Error("ERR_PROGRAM", "the new program has " + std::to_string(program.parameters) +
                                   " parameters, the session has " + std::to_string(parameters_));
  }
  for (const Storage storage : kSlots) {
    if (needs_slot(program, storage) && !slot(storage)) {
      throw Error("ERR_PROGRAM", std::string("the new program needs ") + kSlotNames[slot_index(storage)] +
                                     ", which the session has not");
    }
  }
  if (needs_slot(program, Storage::working) && !working_) {
    throw Error("ERR_PROGRAM", "the new program needs a working copy of the parameters, which the session has not");
  }
}

StepResult Session::run(size_t entry, const Batch& batch) {
  using Clock = std::chrono::steady_clock;
  const auto started = Clock::now();
  if (options_.poison) poison();
  const Entry& info = plan_->program.entries[entry];
  StepScalars scalars;
  scalars.learning_rate = batch.learning_rate;
  scalars.step = batch.step.value_or(step_);
  scalars.seed = plan_->program.seed;
  scalars.sequences = static_cast<int32_t>(batch.sequences());
  plan_->executor->run(entry, batch, scalars);
  if (info.updates) step_ = scalars.step + 1;
  const std::chrono::duration<double, std::milli> elapsed = Clock::now() - started;
  return {scalar(entry, info.loss), scalar(entry, info.norm), elapsed.count()};
}

float Session::scalar(size_t entry, uint32_t number) const {
  const auto values = plan_->executor->result(entry, number);
  float value = std::numeric_limits<float>::quiet_NaN();
  if (!values.empty()) device().read(&value, values.data(), sizeof value);
  return value;
}

std::span<const float> Session::output(size_t entry) { return buffer(entry, plan_->program.entries[entry].output); }

std::span<const float> Session::buffer(size_t entry, uint32_t number) {
  if (!device().is_remote()) return plan_->executor->result(entry, number);
  mirror_.resize(plan_->executor->result_size(entry, number));
  plan_->executor->read(entry, number, mirror_.data());
  return mirror_;
}

void Session::read_slot(Storage storage, float* values) const {
  device().read(values, slot(storage)->data(), static_cast<size_t>(parameters_) * sizeof(float));
}

void Session::write_slot(Storage storage, const float* values) {
  device().write(slot(storage)->data(), values, static_cast<size_t>(parameters_) * sizeof(float));
}

const std::shared_ptr<Arena>& Session::slot(Storage storage) const { return slots_[slot_index(storage)]; }

MemoryReport Session::memory() const {
  MemoryReport report;
  for (const auto& slot : slots_) report.parameters += slot ? static_cast<int64_t>(slot->bytes()) : 0;
  report.parameters += working_ ? static_cast<int64_t>(working_->bytes()) : 0;
  report.activations = static_cast<int64_t>(plan_->activations->bytes());
  report.scratch = static_cast<int64_t>(plan_->scratch->bytes());
  for (const auto& task : tasks_) report.tasks += task ? task->bytes() : 0;
  report.frozen = weights_->bytes();
  return report;
}

void Session::poison() const {
  device().fill(plan_->activations->data(), 0xff, plan_->activations->bytes());  // all bits set: a NaN, and -1 as i32
  device().fill(plan_->scratch->data(), 0xff, plan_->scratch->bytes());
}

}  // namespace oa
