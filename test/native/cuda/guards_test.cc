// A kernel that writes past its operand, but not past the memory that all operands share: nothing here sees that, the
// guards of a program do, on a GPU as on a CPU (test/native/guards_test.cc).
#include <string>
#include <vector>

#include "../check.h"
#include "../writer.h"
#include "base/error.h"
#include "cuda/launch.cuh"
#include "ops/cuda_table.h"
#include "runtime/session.h"

namespace oa::selftest {
namespace {

constexpr int64_t kRows = 3, kWidth = 5;

// A GPU with one other op.
class OtherDevice final : public Device {
 public:
  OtherDevice(uint32_t code, void (*run)(const Call&))
      : gpu_(find_device("cuda")), table_(gpu_->table(), gpu_->table() + kOpTableSize) {
    table_[code].run = run;
  }
  std::string_view name() const override { return gpu_->name(); }
  const OpFunctions* table() const override { return table_.data(); }
  const PackFunctions* packing() const override { return gpu_->packing(); }
  bool is_remote() const override { return true; }
  std::shared_ptr<Arena> allocate(size_t bytes, const char* what) const override { return gpu_->allocate(bytes, what); }
  void read(void* host, const void* device, size_t bytes) const override { gpu_->read(host, device, bytes); }
  void write(void* device, const void* host, size_t bytes) const override { gpu_->write(device, host, bytes); }
  void fill(void* device, unsigned char byte, size_t bytes) const override { gpu_->fill(device, byte, bytes); }
  std::unique_ptr<Queue> make_queue(const Program& program, int threads) const override {
    return gpu_->make_queue(program, threads);
  }

 private:
  std::shared_ptr<const Device> gpu_;
  std::vector<OpFunctions> table_;
};

template <bool kFaulty>
__global__ void add_kernel(float* y, const float* a, const float* b, int64_t n) {
  const int64_t i = threadIdx.x;
  if (kFaulty ? i <= n : i < n) y[i] = a[i] + b[i];
}

template <bool kFaulty>
void run_add(const Call& call) {
  cuda::launch(*call.stream, {"add", dim3(1), dim3(32)}, add_kernel<kFaulty>, call[0].f32(), call[1].f32(),
               call[2].f32(), call[0].size());
}

// One step of y = a + b with this op; the error, or "".
std::string run_with(void (*run)(const Call&)) {
  ProgramWriter w;
  w.guard_bytes = 64;
  w.parameters = 2 * 32;
  w.input(Input::ids, {per_token()});
  w.input(Input::cu, {cumulative()});
  const uint32_t a = w.buffer(Storage::parameter, {fixed(kRows), fixed(kWidth)});
  const uint32_t b = w.buffer(Storage::parameter, {fixed(kRows), fixed(kWidth)}, 32);
  const uint32_t y = w.buffer(Storage::activation, {fixed(kRows), fixed(kWidth)});
  w.entry("step", kNone, kNone, y, 1);
  w.op("add", {y, a, b});
  uint32_t code = 0;
  for (const OpInfo& info : op_infos()) code = info.name == "add" ? info.code : code;
  Session session(std::make_shared<Weights>(std::make_shared<OtherDevice>(code, run)), w.bytes(), {1, true});
  const int32_t ids[] = {0, 1, 2}, cu[] = {0, kRows};
  try {
    session.run(0, one_sequence(ids, cu, kRows));
  } catch (const Error& error) {
    return error.code() + ": " + error.what();
  }
  for (const float value : session.output(0)) OA_CHECK(value == 0);
  return "";
}

void guards_watch_operands() {
  OA_CHECK(run_with(run_add<false>) == "");
  const std::string error = run_with(run_add<true>);
  OA_CHECK(error.starts_with("ERR_OVERRUN") && error.find("end of its y") != std::string::npos);
}

}  // namespace

void test_cuda_guards() { run("planted fault: past an operand of a GPU", guards_watch_operands); }

}  // namespace oa::selftest
