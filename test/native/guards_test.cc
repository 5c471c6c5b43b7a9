// Kernels that write too far, in the place of good ones: the guards of a program must catch each.
#include <cstring>

#include "base/error.h"
#include "check.h"
#include "runtime/session.h"
#include "writer.h"

namespace oa::selftest {
namespace {

constexpr int64_t kWidth = 5;  // no whole lines, so that there is room behind a row
constexpr int64_t kRows = 3;

const CpuBackend& good_backend() { return *cpu_backend("scalar"); }

uint32_t code_of(const char* name) {
  for (const OpInfo& info : op_infos()) {
    if (info.name == name) return info.code;
  }
  return 0;
}

const OpFunctions& good(const char* name) { return good_backend().table[code_of(name)]; }

// y = a + b, where y, a and b lie in the arena, a and b looked up from parameters; then the gradient of the table and
// its norm, which needs scratch.
std::vector<std::byte> program(int64_t tokens, int64_t guard_bytes) {
  ProgramWriter w;
  w.tokens = tokens;
  w.guard_bytes = guard_bytes;
  w.parameters = 2 * 32;  // [3, 5] and its guard, twice
  const uint32_t ids = w.input(Input::ids, {per_token()});
  const uint32_t cu = w.input(Input::cu, {cumulative()});
  const uint32_t word = w.buffer(Storage::parameter, {fixed(kRows), fixed(kWidth)});
  const uint32_t d_word = w.buffer(Storage::gradient, {fixed(kRows), fixed(kWidth)});
  const uint32_t gradients = w.buffer(Storage::gradient, {fixed(w.parameters)});
  const uint32_t a = w.buffer(Storage::activation, {per_token(), fixed(kWidth)});
  const uint32_t b = w.buffer(Storage::activation, {per_token(), fixed(kWidth)});
  const uint32_t y = w.buffer(Storage::activation, {per_token(), fixed(kWidth)});
  const uint32_t norm = w.buffer(Storage::activation, {fixed(1)});
  w.entry("step", kNone, norm, y, 5);
  w.op("embedding", {a, ids, kNone, cu, word, kNone, kNone}, {0});
  w.op("embedding", {b, ids, kNone, cu, word, kNone, kNone}, {0});
  w.op("add", {y, a, b});
  w.op("embedding_backward", {d_word, kNone, kNone, y, ids, kNone, cu}, {0});
  w.op("grad_norm", {norm, gradients});
  return w.bytes();
}

// One step with `run` in the place of an op's kernel; the error, or "" where there is none.
std::string run_with(const char* op, void (*run)(const Call&), int64_t tokens = kRows, int64_t guard_bytes = 64) {
  std::vector<OpFunctions> table(good_backend().table, good_backend().table + kOpTableSize);
  if (run) table[code_of(op)].run = run;
  CpuBackend backend = good_backend();
  backend.table = table.data();
  Session session(std::make_shared<Weights>(cpu_device(backend)), program(tokens, guard_bytes), {1, true});
  for (int64_t i = 0; i < kRows * kWidth; ++i) session.slot(Storage::parameter)->floats()[i] = static_cast<float>(i);
  const int32_t ids[] = {0, 1, 2}, cu[] = {0, kRows};
  try {
    session.run(0, one_sequence(ids, cu, kRows));
  } catch (const Error& error) {
    return error.code() + ": " + error.what();
  }
  const auto output = session.output(0);
  for (size_t i = 0; i < output.size(); ++i) OA_CHECK(output[i] == static_cast<float>(2 * i));
  const float* const gradients = session.slot(Storage::gradient)->floats();
  for (int64_t i = kRows * kWidth; i < session.parameters(); ++i) OA_CHECK(gradients[i] == 0);
  return "";
}

bool caught(const std::string& error, const char* op, const char* place) {
  return error.starts_with("ERR_OVERRUN") && error.find(op) != std::string::npos &&
         error.find(place) != std::string::npos;
}

void good_kernels_pass() {
  OA_CHECK(run_with("add", nullptr) == "");
  OA_CHECK(run_with("add", nullptr, 7) == "");
}

void add_one_more(const Call& call) {
  good("add").run(call);
  call[0].f32()[call[0].size()] = 1;
}

// Reads and writes one element too many, as a loop with a wrong bound does.
void add_too_long(const Call& call) {
  for (int64_t i = 0; i <= call[0].size(); ++i) call[0].f32()[i] = call[1].f32()[i] + call[2].f32()[i];
}

void copy_too_long(const Call& call) {
  good("add").run(call);
  std::memcpy(call[0].f32() + call[0].size(), call[1].f32() + call[0].size(), 8);
}

void add_at_the_guards_end(const Call& call) {
  good("add").run(call);
  call[0].f32()[16 + 15] = 0;  // 15 floats, rounded up to a line, and the guard
}

void outputs_are_watched() {
  OA_CHECK(caught(run_with("add", add_one_more), "add \"test.add\" wrote 0 bytes", "end of its y"));
  OA_CHECK(caught(run_with("add", add_too_long), "add", "end of its y"));
  OA_CHECK(caught(run_with("add", copy_too_long), "add", "end of its y"));
  OA_CHECK(caught(run_with("add", add_at_the_guards_end), "add \"test.add\" wrote 64 bytes", "end of its y"));
}

// With room for more tokens than the batch has, what follows the last of them is watched too.
void spare_capacity_is_watched() {
  OA_CHECK(caught(run_with("add", add_one_more, 40), "wrote 0 bytes", "end of its y"));
}

void scatter_one_more(const Call& call) {
  good("embedding_backward").run(call);
  call[0].f32()[call[0].size()] = 0.5f;
}

void flat_buffers_are_watched() {
  OA_CHECK(caught(run_with("embedding_backward", scatter_one_more), "embedding_backward", "end of its d_word"));
}

void norm_with_more_scratch(const Call& call) {
  good("grad_norm").run(call);
  call.scratch[good("grad_norm").scratch(call)] = 0;
}

void scratch_is_watched() {
  OA_CHECK(caught(run_with("grad_norm", norm_with_more_scratch), "grad_norm", "end of its scratch"));
}

// What the guards are for: the same kernels in a program without guards.
void programs_without_guards_are_not_watched() {
  OA_CHECK(run_with("add", add_one_more, kRows, 0) == "");
  OA_CHECK(error_code([] { Program::decode(program(kRows, 32)); }) == "ERR_PROGRAM");
}

}  // namespace

void test_guards() {
  run("good kernels pass", good_kernels_pass);
  run("outputs are watched", outputs_are_watched);
  run("spare capacity is watched", spare_capacity_is_watched);
  run("flat buffers are watched", flat_buffers_are_watched);
  run("scratch is watched", scratch_is_watched);
  run("programs without guards are not watched", programs_without_guards_are_not_watched);
}

}  // namespace oa::selftest
