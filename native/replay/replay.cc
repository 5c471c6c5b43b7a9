#include "replay/replay.h"

#include <cmath>
#include <cstdio>
#include <memory>

#include "base/error.h"
#include "replay/allocations.h"
#include "runtime/session.h"

namespace oa {
namespace {

Batch to_batch(const RecordedStep& step) {
  static constexpr int32_t kEmpty[1] = {0};  // an empty array may have no memory, but null means absent
  Batch batch;
  batch.ids = step.ids.empty() ? kEmpty : step.ids.data();
  batch.ids_count = static_cast<int64_t>(step.ids.size());
  batch.types = step.types.empty() ? nullptr : step.types.data();
  batch.types_count = static_cast<int64_t>(step.types.size());
  batch.cu = step.cu.data();
  batch.cu_count = static_cast<int64_t>(step.cu.size());
  if (step.labels_kind != 0) {
    batch.labels = step.labels.empty() ? static_cast<const void*>(kEmpty) : step.labels.data();
    batch.labels_count = static_cast<int64_t>(step.labels.size());
    batch.labels_dtype = step.labels_kind == 2 ? DType::f32 : DType::i32;
  }
  batch.learning_rate = step.learning_rate;
  batch.step = step.step;
  return batch;
}

const char* target_name(RecordedCheck::Target target) {
  switch (target) {
    case RecordedCheck::Target::loss: return "loss";
    case RecordedCheck::Target::norm: return "norm";
    case RecordedCheck::Target::output: return "output";
    case RecordedCheck::Target::slot: return "slot";
    case RecordedCheck::Target::buffer: return "buffer";
  }
  return "unknown target";
}

bool is_close(float got, const RecordedCheck& check, float expected) {
  if (std::isnan(expected) || std::isnan(got)) return std::isnan(expected) && std::isnan(got);
  if (std::isinf(expected)) return got == expected;
  return std::fabs(got - expected) <= check.absolute + check.relative * std::fabs(expected);
}

// Keeps the largest error in parts of its tolerance.
void note_error(float got, const RecordedCheck& check, float expected, ReplayResult& result) {
  if (!std::isfinite(expected) || !std::isfinite(got)) return;
  const double error = std::fabs(static_cast<double>(got) - static_cast<double>(expected));
  const double budget = static_cast<double>(check.absolute) + static_cast<double>(check.relative * std::fabs(expected));
  if (error * result.budget <= result.error * budget && result.budget > 0) return;
  result.error = error;
  result.budget = budget;
}

std::string compare(const RecordedCheck& check, std::span<const float> got, ReplayResult& result) {
  const std::string name = std::string(target_name(check.target)) + " " + std::to_string(check.index);
  if (got.size() != check.expected.size()) {
    return name + " has " + std::to_string(got.size()) + " elements, expected " + std::to_string(check.expected.size());
  }
  for (size_t i = 0; i < got.size(); ++i) {
    note_error(got[i], check, check.expected[i], result);
    if (is_close(got[i], check, check.expected[i])) continue;
    char text[160];
    std::snprintf(text, sizeof text, "[%zu] is %.9g, expected %.9g (tolerance %.3g + %.3g relative)", i,
                  static_cast<double>(got[i]), static_cast<double>(check.expected[i]),
                  static_cast<double>(check.absolute), static_cast<double>(check.relative));
    return name + text;
  }
  return {};
}

std::span<const float> target_of(const RecordedCheck& check, Session& session, size_t entry, const StepResult& result,
                                 std::vector<float>& mirror) {
  switch (check.target) {
    case RecordedCheck::Target::loss: return {&result.loss, 1};
    case RecordedCheck::Target::norm: return {&result.norm, 1};
    case RecordedCheck::Target::output: return session.output(entry);
    case RecordedCheck::Target::slot: {
      mirror.clear();
      if (session.slot(static_cast<Storage>(check.index))) {
        mirror.resize(static_cast<size_t>(session.parameters()));
        session.read_slot(static_cast<Storage>(check.index), mirror.data());
      }
      return mirror;
    }
    case RecordedCheck::Target::buffer:
      return check.index < session.program().buffers.size() ? session.buffer(entry, check.index)
                                                            : std::span<const float>{};
  }
  return {};
}

void set_slots(const RecordedCase& recorded, Session& session) {
  for (const Storage slot : kSlots) {
    if (const auto& arena = session.slot(slot)) session.device().fill(arena->data(), 0, arena->bytes());
  }
  for (const RecordedPreset& preset : recorded.presets) {
    if (static_cast<int64_t>(preset.values.size()) != session.parameters()) {
      throw Error("ERR_RECORDING", "a preset has another length than the parameters");
    }
    if (preset.values.empty()) continue;
    if (!session.slot(preset.slot)) throw Error("ERR_RECORDING", "a preset is for a buffer that the program has not");
    session.write_slot(preset.slot, preset.values.data());
  }
}

std::string run_once(const RecordedCase& recorded, Session& session, bool warm, const ReplayOptions& options,
                     ReplayResult& worst) {
  set_slots(recorded, session);
  std::vector<float> mirror;
  for (size_t i = 0; i < recorded.steps.size(); ++i) {
    const RecordedStep& step = recorded.steps[i];
    const size_t entry = session.program().entry_index(step.entry);
    const Batch batch = to_batch(step);
    const uint64_t before = allocation_count();
    const StepResult result = session.run(entry, batch);
    const uint64_t allocations = allocation_count() - before;
    const std::string where = "step " + std::to_string(i) + ": ";
    if (warm && options.count_allocations && allocations > 0) {
      return where + std::to_string(allocations) + " memory allocations, expected none";
    }
    for (const RecordedCheck& check : step.checks) {
      const std::string problem = compare(check, target_of(check, session, entry, result, mirror), worst);
      if (!problem.empty()) return where + problem;
    }
  }
  return {};
}

}  // namespace

ReplayResult replay(const RecordedCase& recorded, const std::shared_ptr<const Device>& device,
                    const ReplayOptions& options) {
  ReplayResult result;
  try {
    auto weights = std::make_shared<Weights>(device);
    std::vector<WeightEntry> entries;
    for (const RecordedWeight& weight : recorded.weights) entries.push_back(weight.entry);
    weights->load(entries, options.threads);
    const std::string hash = weights->hash();
    Session session(weights, recorded.program, {options.threads, true});
    for (int i = 0; i < options.repeat && result.problem.empty(); ++i) {
      result.problem = run_once(recorded, session, i > 0, options, result);
    }
    if (result.problem.empty() && weights->hash() != hash) result.problem = "the frozen weights have changed";
  } catch (const Error& error) {
    result.problem = error.code() + ": " + error.what();
  }
  return result;
}

}  // namespace oa
