#include <cmath>

#include "check.h"
#include "runtime/session.h"
#include "writer.h"

namespace oa::selftest {
namespace {

uint32_t word_of(float value) {
  uint32_t word;
  std::memcpy(&word, &value, 4);
  return word;
}

// AdamW alone: betas 0, epsilon 0, so every parameter moves by the learning rate against its gradient's sign.
std::vector<std::byte> optimizer_program(int64_t tokens) {
  ProgramWriter w;
  w.tokens = tokens;
  w.parameters = 5;
  const uint32_t parameters = w.buffer(Storage::parameter, {fixed(5)});
  const uint32_t moment1 = w.buffer(Storage::moment1, {fixed(5)});
  const uint32_t moment2 = w.buffer(Storage::moment2, {fixed(5)});
  const uint32_t gradients = w.buffer(Storage::gradient, {fixed(5)});
  const uint32_t norm = w.buffer(Storage::activation, {fixed(1)});
  w.entry("step", kNone, norm, kNone, 2, true);
  w.op("grad_norm", {norm, gradients});
  w.op("adamw", {parameters, moment1, moment2, gradients, norm}, {0, 0, word_of(1e-30f), 0, 0, 0, 0});
  return w.bytes();
}

Batch one_token(const int32_t* ids, const int32_t* cu) {
  Batch batch = one_sequence(ids, cu, 1);
  batch.learning_rate = 1;
  return batch;
}

void slots_survive_a_replan() {
  const int32_t ids[] = {0}, cu[] = {0, 1};
  auto weights = std::make_shared<Weights>(find_device(best_isa()));
  Session session(weights, optimizer_program(8), {1, true});
  for (int i = 0; i < 5; ++i) session.slot(Storage::gradient)->floats()[i] = i % 2 ? 2.0f : -2.0f;
  StepResult result = session.run(0, one_token(ids, cu));
  OA_CHECK(std::isnan(result.loss));
  OA_CHECK(std::fabs(result.norm - std::sqrt(20.0f)) < 1e-5f);
  OA_CHECK(session.slot(Storage::parameter)->floats()[0] == 1.0f);
  session.replan(optimizer_program(64));
  OA_CHECK(session.program().tokens == 64);
  session.run(0, one_token(ids, cu));
  OA_CHECK(session.slot(Storage::parameter)->floats()[1] == -2.0f);
  ProgramWriter other;
  other.parameters = 6;
  OA_CHECK(error_code([&] { session.replan(other.bytes()); }) == "ERR_PROGRAM");
  OA_CHECK(session.program().tokens == 64);
}

void inference_has_parameters_alone() {
  ProgramWriter w;
  w.parameters = 5;
  const uint32_t parameters = w.buffer(Storage::parameter, {fixed(5)});
  const uint32_t sum = w.buffer(Storage::activation, {fixed(5)});
  w.entry("forward", kNone, kNone, sum, 1);
  w.op("add", {sum, parameters, parameters});
  auto weights = std::make_shared<Weights>(find_device(best_isa()));
  Session session(weights, w.bytes(), {});
  OA_CHECK(session.slot(Storage::parameter) && !session.slot(Storage::gradient));
  OA_CHECK(!session.slot(Storage::moment1) && !session.slot(Storage::moment2));
  OA_CHECK(session.memory().parameters == 4 * 5);
  OA_CHECK(error_code([&] { session.replan(optimizer_program(8)); }) == "ERR_PROGRAM");
}

void memory_is_reported() {
  auto weights = std::make_shared<Weights>(find_device(best_isa()));
  const Session session(weights, optimizer_program(8), {});
  const MemoryReport report = session.memory();
  OA_CHECK(report.parameters == 4 * 5 * 4);
  OA_CHECK(report.activations == 64);
  OA_CHECK(report.frozen == 0);
}

}  // namespace

void test_session() {
  run("slots survive a replan", slots_survive_a_replan);
  run("inference has parameters alone", inference_has_parameters_alone);
  run("memory is reported", memory_is_reported);
}

}  // namespace oa::selftest
