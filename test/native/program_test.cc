#include <random>

#include "base/error.h"
#include "check.h"
#include "runtime/session.h"
#include "writer.h"

namespace oa::selftest {
namespace {

constexpr int64_t kVocabulary = 11;
constexpr int64_t kWidth = 8;

// Embedding by parameters, attention, pooling, loss, and the way back to one gradient: touches every storage but
// frozen.
ProgramWriter small_model() {
  ProgramWriter w;
  w.parameters = kVocabulary * kWidth;
  const uint32_t ids = w.input(Input::ids, {per_token()});
  const uint32_t cu = w.input(Input::cu, {cumulative()});
  const uint32_t labels = w.input(Input::labels, {per_sequence()});
  const uint32_t word = w.buffer(Storage::parameter, {fixed(kVocabulary), fixed(kWidth)});
  const uint32_t x = w.buffer(Storage::activation, {per_token(), fixed(kWidth)});
  const uint32_t pooled = w.buffer(Storage::activation, {per_sequence(), fixed(kWidth)});
  const uint32_t loss = w.buffer(Storage::activation, {fixed(1)});
  const uint32_t d_pooled = w.buffer(Storage::activation, {per_sequence(), fixed(kWidth)});
  const uint32_t d_x = w.buffer(Storage::activation, {per_token(), fixed(kWidth)});
  const uint32_t d_word = w.buffer(Storage::gradient, {fixed(kVocabulary), fixed(kWidth)});
  w.entry("step", loss, kNone, pooled, 7);
  w.op("embedding", {x, ids, kNone, cu, word, kNone, kNone}, {0});
  w.op("dropout", {x, x}, {0x3dcccccd, 3});  // in place, p = 0.1
  w.op("pool", {pooled, x, cu}, {1});
  w.op("cross_entropy", {loss, pooled, labels});
  w.op("cross_entropy_backward", {d_pooled, pooled, labels});
  w.op("pool_backward", {d_x, d_pooled, cu}, {1});
  w.op("embedding_backward", {d_word, kNone, kNone, d_x, ids, kNone, cu}, {0});
  return w;
}

struct SmallBatch {
  std::vector<int32_t> ids = {0, 10, 3, 4, 5, 9}, cu = {0, 2, 2, 6}, labels = {0, -100, 7};
  Batch batch() const {
    Batch batch;
    batch.ids = ids.data();
    batch.ids_count = static_cast<int64_t>(ids.size());
    batch.cu = cu.data();
    batch.cu_count = static_cast<int64_t>(cu.size());
    batch.labels = labels.data();
    batch.labels_count = static_cast<int64_t>(labels.size());
    return batch;
  }
};

std::shared_ptr<const Weights> no_weights() { return std::make_shared<Weights>(find_device(best_isa())); }

std::string create_code(const std::vector<std::byte>& bytes) {
  return error_code([&] { Session(no_weights(), bytes, {1, true}); });
}

void small_model_runs() {
  Session session(no_weights(), small_model().bytes(), {2, true});
  for (int64_t i = 0; i < session.parameters(); ++i) {
    session.slot(Storage::parameter)->floats()[i] = static_cast<float>(i % 7);
  }
  const StepResult result = session.run(session.program().entry_index("step"), SmallBatch().batch());
  OA_CHECK(result.loss > 0 && result.loss < 100);
  OA_CHECK(session.output(0).size() == 3 * kWidth);
}

void truncated_programs_are_refused() {
  const auto bytes = small_model().bytes();
  for (size_t length = 0; length < bytes.size(); ++length) {
    OA_CHECK(create_code({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(length)}) == "ERR_PROGRAM");
  }
}

// Whatever the bytes, the engine refuses the program or runs it; sanitizers watch the latter.
void mutated_programs_are_safe() {
  const auto original = small_model().bytes();
  std::mt19937 random(1);
  const uint32_t interesting[] = {0, 1, 2, 3, 7, 8, 64, 255, 0x7fffffff, 0x80000000, 0xffffffff, 0x10000};
  const SmallBatch batch;
  int accepted = 0;
  for (int round = 0; round < 6000; ++round) {
    auto bytes = original;
    for (uint32_t i = 0, changes = 1 + random() % 2; i < changes; ++i) {
      const size_t at = (3 + random() % (bytes.size() / 4 - 3)) * 4;  // behind magic, version and length
      const uint32_t word = random() % 4 ? interesting[random() % std::size(interesting)] : random() % 32;
      std::memcpy(bytes.data() + at, &word, 4);
    }
    try {
      Session session(no_weights(), bytes, {1, false});
      ++accepted;
      if (!session.program().entries.empty()) session.run(0, batch.batch());
    } catch (const Error&) {
    }
  }
  OA_CHECK(accepted > 100);
}

void wrong_operands_are_named() {
  ProgramWriter w;
  const uint32_t a = w.buffer(Storage::activation, {per_token(), fixed(4)});
  const uint32_t b = w.buffer(Storage::activation, {per_token(), fixed(5)});
  w.entry("step", kNone, kNone, kNone, 1);
  w.op("add", {a, a, b});
  try {
    Session(no_weights(), w.bytes(), {});
    OA_CHECK(!"was accepted");
  } catch (const Error& error) {
    OA_CHECK(std::string(error.what()).find("add \"test.add\"") != std::string::npos);
  }
}

// An op may write over its input only where it reads each element first.
void overlapping_outputs_are_refused() {
  const auto code = [](const char* op, bool in_place) {
    ProgramWriter w;
    const uint32_t x = w.buffer(Storage::activation, {per_token(), fixed(16)});
    const uint32_t y = in_place ? x : w.buffer(Storage::activation, {per_token(), fixed(16)});
    const uint32_t gamma = w.buffer(Storage::activation, {fixed(16)});
    w.entry("step", kNone, kNone, kNone, 1);
    if (std::string(op) == "add")
      w.op("add", {y, x, x});
    else
      w.op("layer_norm", {y, kNone, kNone, x, gamma, gamma}, {0x3727c5ac});
    return create_code(w.bytes());
  };
  OA_CHECK(code("add", true) == "");
  OA_CHECK(code("add", false) == "");
  OA_CHECK(code("layer_norm", false) == "");
  OA_CHECK(code("layer_norm", true) == "ERR_PROGRAM");
}

void missing_weights_are_named() {
  ProgramWriter w;
  const uint32_t x = w.buffer(Storage::activation, {per_token(), fixed(4)});
  const uint32_t y = w.buffer(Storage::activation, {per_token(), fixed(6)});
  const uint32_t weight =
      w.buffer(Storage::frozen, {fixed(6), fixed(4)}, 0, DType::f32, Form::packed, "up.weight|packed");
  w.entry("step", kNone, kNone, y, 1);
  w.op("linear", {y, kNone, x, weight, kNone}, {0});
  const std::vector<float> values(24, 1.0f);
  const auto create_with = [&](Form form, int64_t rows, int64_t columns) {
    auto weights = std::make_shared<Weights>(find_device(best_isa()));
    const WeightEntry entry{"up.weight|packed", form, rows, columns, {{values.data(), nullptr, 24, rows, false}}};
    weights->load({&entry, 1}, 1);
    return error_code([&] { Session(weights, w.bytes(), {}); });
  };
  OA_CHECK(create_code(w.bytes()) == "ERR_PROGRAM");
  OA_CHECK(create_with(Form::packed, 6, 4) == "");
  OA_CHECK(create_with(Form::packed_transposed, 6, 4) == "ERR_PROGRAM");
  OA_CHECK(create_with(Form::packed, 4, 6) == "ERR_PROGRAM");
}

void bad_batches_are_refused() {
  Session session(no_weights(), small_model().bytes(), {});
  const auto code = [&](const SmallBatch& small) { return error_code([&] { session.run(0, small.batch()); }); };
  const auto with = [&](auto change) {
    SmallBatch small;
    change(small);
    return code(small);
  };
  OA_CHECK(code({}) == "");
  OA_CHECK(with([](auto& b) { b.ids[2] = static_cast<int32_t>(kVocabulary); }) == "ERR_BATCH");
  OA_CHECK(with([](auto& b) { b.ids[2] = -1; }) == "ERR_BATCH");
  OA_CHECK(with([](auto& b) { b.cu[0] = 1; }) == "ERR_BATCH");
  OA_CHECK(with([](auto& b) { b.cu[1] = 5, b.cu[2] = 3; }) == "ERR_BATCH");
  OA_CHECK(with([](auto& b) { b.cu[3] = 7; }) == "ERR_BATCH");
  OA_CHECK(with([](auto& b) { b.cu = {0}; }) == "ERR_BATCH");
  OA_CHECK(with([](auto& b) { b.labels.pop_back(); }) == "ERR_BATCH");
  OA_CHECK(with([](auto& b) { b.labels[0] = static_cast<int32_t>(kWidth); }) == "ERR_BATCH");
  OA_CHECK(with([](auto& b) { b.labels[0] = -1; }) == "ERR_BATCH");
  OA_CHECK(with([](auto& b) { b.ids.resize(9), b.cu[3] = 9; }) == "ERR_CAPACITY");
  OA_CHECK(with([](auto& b) { b.cu = {0, 0, 0, 0, 0, 6}, b.labels.resize(5); }) == "ERR_CAPACITY");
  SmallBatch empty;
  empty.ids.clear();
  empty.cu = {0, 0};
  empty.labels = {0};
  OA_CHECK(code(empty) == "" || code(empty) == "ERR_BATCH");
  const SmallBatch good;
  Batch no_labels = good.batch();
  no_labels.labels = nullptr;
  OA_CHECK(error_code([&] { session.run(0, no_labels); }) == "ERR_BATCH");
}

}  // namespace

void test_program() {
  run("a small model runs", small_model_runs);
  run("truncated programs are refused", truncated_programs_are_refused);
  run("mutated programs are safe", mutated_programs_are_safe);
  run("wrong operands are named", wrong_operands_are_named);
  run("overlapping outputs are refused", overlapping_outputs_are_refused);
  run("missing weights are named", missing_weights_are_named);
  run("bad batches are refused", bad_batches_are_refused);
}

}  // namespace oa::selftest
