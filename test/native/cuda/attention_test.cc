// Attention of a GPU against that of the CPU where the recorded cases do not go: sequences of many tiles, wide heads,
// rows that belong to no sequence, in several orders of blocks and threads.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "../check.h"
#include "base/thread_pool.h"
#include "block.h"
#include "cuda/check.h"
#include "cuda/stream.h"
#include "ops/cuda_table.h"
#include "ops/registry.h"

namespace oa::selftest {
namespace {

using namespace oa::cuda;

struct Case {
  std::vector<int> lengths;
  int heads = 1;
  int width = 64;
  int rows_of_none = 0;  // behind the last sequence, as a rounded-up shape has them
  int sequences_of_none = 0;
  float dropout = 0;
};

std::string name_of(const Case& c) {
  std::string name = "attention of a GPU, lengths";
  for (const int length : c.lengths) name += " " + std::to_string(length);
  name += ", " + std::to_string(c.heads) + " heads of " + std::to_string(c.width);
  if (c.rows_of_none > 0) name += ", " + std::to_string(c.rows_of_none) + " rows of none";
  if (c.dropout > 0) name += ", dropout";
  return name;
}

uint32_t code_of(const char* name) {
  for (const OpInfo& info : op_infos()) {
    if (info.name == name) return info.code;
  }
  return 0;
}

// In [-1, 1].
std::vector<float> noise(size_t count, uint32_t seed) {
  std::vector<float> values(count);
  for (float& value : values) {
    seed = seed * 1664525u + 1013904223u;
    value = static_cast<float>(seed >> 8) / 8388608.0f - 1.0f;
  }
  return values;
}

// y, lse and d_qkv, of all T rows.
struct Result {
  std::vector<float> y, lse, d_qkv;
};

// Memory that an op call works on: plain, or a device's.
class Memory {
 public:
  explicit Memory(bool remote) : remote_(remote) {}
  ~Memory() {
    for (void* block : blocks_) remote_ ? static_cast<void>(cudaFree(block)) : ::operator delete(block, kAlignment);
  }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  void* allocate(size_t bytes) {
    void* block = nullptr;
    if (remote_)
      cuda::check(cudaMalloc(&block, bytes), "a test");
    else
      std::memset(block = ::operator new(bytes, kAlignment), 0xff, bytes);
    blocks_.push_back(block);
    return block;
  }
  void* hold(const void* source, size_t bytes) {
    void* const block = allocate(bytes);
    if (remote_)
      cuda::check(cudaMemcpy(block, source, bytes, cudaMemcpyHostToDevice), "a test");
    else
      std::memcpy(block, source, bytes);
    return block;
  }
  std::vector<float> read(const float* source, int64_t count) const {
    std::vector<float> values(static_cast<size_t>(count));
    const size_t bytes = values.size() * sizeof(float);
    if (remote_)
      cuda::check(cudaMemcpy(values.data(), source, bytes, cudaMemcpyDeviceToHost), "a test");
    else
      std::memcpy(values.data(), source, bytes);
    return values;
  }

 private:
  static constexpr std::align_val_t kAlignment{64};
  bool remote_;
  std::vector<void*> blocks_;
};

Operand matrix(void* data, int64_t rows, int64_t columns) { return {data, {rows, columns, 0}, 2}; }

// Both passes of one device over T rows, of which `tokens` are sequences'.
Result run_on(const OpFunctions* table, const Case& c, int64_t tokens, int64_t rows, ThreadPool& pool, Stream* stream) {
  Memory memory(stream != nullptr);
  const int64_t hidden = c.heads * c.width,
                sequences = static_cast<int64_t>(c.lengths.size()) + (stream ? c.sequences_of_none : 0);
  std::vector<int32_t> cu{0};
  for (const int length : c.lengths) cu.push_back(cu.back() + length);
  cu.resize(static_cast<size_t>(sequences) + 1, static_cast<int32_t>(tokens));
  std::vector<float> qkv = noise(static_cast<size_t>(rows * 3 * hidden), 1),
                     dy = noise(static_cast<size_t>(rows * hidden), 2);
  for (size_t i = static_cast<size_t>(tokens * hidden); i < dy.size(); ++i) dy[i] = 0;
  const StepScalars scalars{0.1f, 5, 0xfeedfeedfeedull, static_cast<int32_t>(c.lengths.size())};
  const auto floats = [&](int64_t n) { return static_cast<float*>(memory.allocate(static_cast<size_t>(n) * 4)); };
  float *y = floats(rows * hidden), *lse = floats(c.heads * rows), *d_qkv = floats(rows * 3 * hidden);
  void* const qkv_data = memory.hold(qkv.data(), qkv.size() * 4);
  const Operand cu_operand{memory.hold(cu.data(), cu.size() * 4), {sequences + 1, 0, 0}, 1};
  const Operand forward[] = {matrix(y, rows, hidden), matrix(lse, c.heads, rows), matrix(qkv_data, rows, 3 * hidden),
                             cu_operand};
  const Operand backward[] = {matrix(d_qkv, rows, 3 * hidden),
                              matrix(memory.hold(dy.data(), dy.size() * 4), rows, hidden), forward[2], forward[1],
                              cu_operand};
  const float scale = 1.0f / std::sqrt(static_cast<float>(c.width));
  uint32_t attributes[5] = {static_cast<uint32_t>(c.heads), 0, 0, 7, 0};
  std::memcpy(attributes + 1, &scale, 4);
  std::memcpy(attributes + 2, &c.dropout, 4);
  Call call;
  call.attributes = attributes;
  call.pool = &pool;
  call.stream = stream;
  call.scalars = static_cast<const StepScalars*>(memory.hold(&scalars, sizeof scalars));
  for (const bool is_forward : {true, false}) {
    const OpFunctions& op = table[code_of(is_forward ? "attention" : "attention_backward")];
    call.operands = is_forward ? forward : backward;
    call.scratch = static_cast<char*>(memory.allocate(static_cast<size_t>(op.scratch(call))));
    op.run(call);
    if (stream) stream->wait();
  }
  return {memory.read(y, rows * hidden), memory.read(lse, c.heads * rows), memory.read(d_qkv, rows * 3 * hidden)};
}

// The largest difference over [rows of the CPU, columns], against the largest number there.
double difference(const std::vector<float>& gpu, const std::vector<float>& cpu) {
  double most = 0, largest = 1e-30;
  for (size_t i = 0; i < cpu.size(); ++i) {
    if (!(std::abs(gpu[i]) < 1e30f)) return 1e30;
    most = std::max(most, static_cast<double>(std::abs(gpu[i] - cpu[i])));
    largest = std::max(largest, static_cast<double>(std::abs(cpu[i])));
  }
  return most / largest;
}

bool is_zero_from(const std::vector<float>& values, int64_t from) {
  for (size_t i = static_cast<size_t>(from); i < values.size(); ++i) {
    if (!(values[i] == 0)) return false;
  }
  return true;
}

// lse is [H, T]: its first `tokens` columns.
std::vector<float> leading_columns(const std::vector<float>& lse, int64_t heads, int64_t rows, int64_t tokens) {
  std::vector<float> kept;
  for (int64_t h = 0; h < heads; ++h) kept.insert(kept.end(), lse.begin() + h * rows, lse.begin() + h * rows + tokens);
  return kept;
}

void compare(const Case& c) {
  constexpr double kMost = 3e-6;
  int64_t tokens = 0;
  for (const int length : c.lengths) tokens += length;
  const int64_t rows = tokens + c.rows_of_none, hidden = c.heads * c.width;
  ThreadPool pool(1);
  const Result cpu = run_on(cpu_backend("scalar")->table, c, tokens, tokens, pool, nullptr);
  Result first;
  for (const uint64_t order : {0, 1, 2}) {
    standin::set_order(order);
    Stream stream(0, Precision::fp32);
    const Result gpu = run_on(cuda_table(), c, tokens, rows, pool, &stream);
    OA_CHECK(difference(gpu.y, cpu.y) < kMost);
    OA_CHECK(difference(leading_columns(gpu.lse, c.heads, rows, tokens), cpu.lse) < kMost);
    OA_CHECK(difference(gpu.d_qkv, cpu.d_qkv) < kMost);
    OA_CHECK(is_zero_from(gpu.y, tokens * hidden) && is_zero_from(gpu.d_qkv, tokens * 3 * hidden));
    for (int64_t h = 0; h < c.heads; ++h) {
      for (int64_t t = tokens; t < rows; ++t) OA_CHECK(gpu.lse[static_cast<size_t>(h * rows + t)] == 0);
    }
    if (order == 0) first = gpu;
    OA_CHECK(gpu.y == first.y && gpu.lse == first.lse && gpu.d_qkv == first.d_qkv);  // bit for bit
  }
  standin::set_order(0);
}

}  // namespace

void test_cuda_attention() {
  const Case cases[] = {
      {.lengths = {1}, .width = 1, .rows_of_none = 63},
      {.lengths = {31, 32, 33, 0, 64, 65}, .heads = 2, .width = 32},
      {.lengths = {0, 0, 127, 0}, .heads = 1, .width = 36, .rows_of_none = 70, .sequences_of_none = 4},
      {.lengths = {129, 3}, .heads = 1, .width = 64, .dropout = 0.1f},
      {.lengths = {70, 1, 1, 130}, .heads = 1, .width = 128, .rows_of_none = 6, .sequences_of_none = 1},
      {.lengths = {66}, .heads = 2, .width = 101, .dropout = 0.5f},
      {.lengths = {300}, .heads = 1, .width = 33, .rows_of_none = 1},
  };
  for (const Case& c : cases) run(name_of(c), [&] { compare(c); });
}

}  // namespace oa::selftest
