// Host sequences that are wrong in one way each, beside their right twins: copies and captures of the stand-ins behave
// as on a GPU, where the host is ahead of the device.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "../check.h"
#include "../writer.h"
#include "base/error.h"
#include "base/step.h"
#include "cuda/launch.cuh"
#include "runtime/session.h"

namespace oa::selftest {
namespace {

using namespace oa::cuda;

constexpr int kCount = 32;
constexpr size_t kBytes = kCount * sizeof(float);

// Memory of the device and page-locked memory of the host, of one size.
struct Bench {
  Stream stream{0, Precision::fp32};
  float* device = nullptr;
  float* host = nullptr;

  Bench() {
    cuda::check(cudaMalloc(reinterpret_cast<void**>(&device), kBytes), "a test");
    cuda::check(cudaMallocHost(reinterpret_cast<void**>(&host), kBytes), "a test");
    for (int i = 0; i < kCount; ++i) host[i] = 0;
    cuda::check(cudaMemset(device, 0, kBytes), "a test");
  }
  ~Bench() {
    cudaFree(device);
    cudaFreeHost(host);
  }

  float on_device() const {
    float value = 0;
    cuda::check(cudaMemcpy(&value, device, sizeof value, cudaMemcpyDeviceToHost), "a test");
    return value;
  }
};

// Sets a word of the imaginary machine while it lives.
class Machine {
 public:
  explicit Machine(const char* words) {
    const char* const before = std::getenv(kName);
    before_ = before ? before : "";
    setenv(kName, words, 1);
  }
  ~Machine() { setenv(kName, before_.c_str(), 1); }
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

 private:
  static constexpr const char* kName = "ONNX_ADAPTERS_STANDIN";
  std::string before_;
};

__global__ void set_kernel(float* y, float value) { y[threadIdx.x] = value; }
__global__ void learn_by_value(float* y, float rate) { y[threadIdx.x] -= rate; }
__global__ void learn_from_memory(float* y, const StepScalars* scalars) { y[threadIdx.x] -= scalars->learning_rate; }

// ---- captured steps ----

class Graph {
 public:
  template <class F>
  Graph(cudaStream_t stream, const F& enqueue) {
    cudaGraph_t graph = nullptr;
    cuda::check(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "a test");
    enqueue();
    cuda::check(cudaStreamEndCapture(stream, &graph), "a test");
    cuda::check(cudaGraphInstantiate(&executable_, graph, 0), "a test");
    cudaGraphDestroy(graph);
  }
  ~Graph() { cudaGraphExecDestroy(executable_); }
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  void launch(Stream& stream) const {
    cuda::check(cudaGraphLaunch(executable_, stream.handle()), "a test");
    stream.wait();
  }

 private:
  cudaGraphExec_t executable_ = nullptr;
};

// Two steps, with rates 1 and 10: from 0 to -11 where each step has its own, to -2 where the first one's is frozen.
void rates_by_value_are_frozen() {
  Bench bench;
  StepScalars scalars;
  void* place = nullptr;
  cuda::check(cudaMalloc(&place, sizeof scalars), "a test");
  const Grid grid{"learn", dim3(1), dim3(kCount)};
  const auto two_steps = [&](bool by_value) {
    cuda::check(cudaMemset(bench.device, 0, kBytes), "a test");
    scalars.learning_rate = 1;
    const Graph step(bench.stream.handle(), [&] {
      if (by_value)
        launch(bench.stream, grid, learn_by_value, bench.device, scalars.learning_rate);
      else
        launch(bench.stream, grid, learn_from_memory, bench.device, static_cast<const StepScalars*>(place));
    });
    for (const float rate : {1.0f, 10.0f}) {
      scalars.learning_rate = rate;
      cuda::check(cudaMemcpy(place, &scalars, sizeof scalars, cudaMemcpyHostToDevice), "a test");
      step.launch(bench.stream);
    }
    return bench.on_device();
  };
  OA_CHECK(two_steps(true) == -2);
  OA_CHECK(two_steps(false) == -11);
  cudaFree(place);
}

void captured_work_waits_for_its_launch() {
  Bench bench;
  const Graph step(bench.stream.handle(),
                   [&] { launch(bench.stream, {"set", dim3(1), dim3(kCount)}, set_kernel, bench.device, 4.0f); });
  bench.stream.wait();
  OA_CHECK(bench.on_device() == 0);
  step.launch(bench.stream);
  OA_CHECK(bench.on_device() == 4);
}

// What would end a capture on a GPU, or could not be replayed.
void captures_refuse_what_waits_or_allocates() {
  Bench bench;
  const Graph step(bench.stream.handle(), [&] {
    void* more = nullptr;
    OA_CHECK(cudaMalloc(&more, 16) == cudaErrorStreamCaptureUnsupported);
    OA_CHECK(cudaFree(bench.device) == cudaErrorStreamCaptureUnsupported);
    OA_CHECK(cudaMemset(bench.device, 0, 4) == cudaErrorStreamCaptureUnsupported);
    OA_CHECK(cudaMemcpy(bench.host, bench.device, 4, cudaMemcpyDeviceToHost) == cudaErrorStreamCaptureUnsupported);
    OA_CHECK(cudaStreamSynchronize(bench.stream.handle()) == cudaErrorStreamCaptureUnsupported);
    OA_CHECK(cudaStreamBeginCapture(bench.stream.handle(), cudaStreamCaptureModeThreadLocal) ==
             cudaErrorStreamCaptureUnsupported);
  });
  cudaGraph_t graph = nullptr;
  OA_CHECK(cudaStreamEndCapture(bench.stream.handle(), &graph) == cudaErrorStreamCaptureUnsupported);
  OA_CHECK(cudaMemset(bench.device, 0, 4) == cudaSuccess);
  cudaGetLastError();
}

// ---- the host ahead of the device ----

void results_are_there_after_a_wait() {
  Bench bench;
  launch(bench.stream, {"set", dim3(1), dim3(kCount)}, set_kernel, bench.device, 5.0f);
  OA_CHECK(bench.on_device() == 0);  // a plain copy does not wait for a stream that does not block
  cuda::check(cudaMemcpyAsync(bench.host, bench.device, kBytes, cudaMemcpyDeviceToHost, bench.stream.handle()),
              "a test");
  OA_CHECK(bench.host[0] == 0);
  bench.stream.wait();
  OA_CHECK(bench.host[0] == 5 && bench.on_device() == 5);
}

void uploads_read_the_host_late() {
  Bench bench;
  const auto upload = [&](bool waits) {
    bench.host[0] = 1;
    bench.stream.upload(bench.device, bench.host, kBytes);
    if (waits) bench.stream.wait();
    bench.host[0] = 2;
    bench.stream.wait();
    return bench.on_device();
  };
  OA_CHECK(upload(false) == 2);
  OA_CHECK(upload(true) == 1);
}

void events_are_done_after_a_wait() {
  Bench bench;
  cudaEvent_t start = nullptr, end = nullptr;
  cuda::check(cudaEventCreate(&start), "a test");
  cuda::check(cudaEventCreate(&end), "a test");
  cuda::check(cudaEventRecord(start, bench.stream.handle()), "a test");
  cuda::check(cudaEventRecord(end, bench.stream.handle()), "a test");
  float milliseconds = -1;
  OA_CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaErrorNotReady);
  bench.stream.wait();
  OA_CHECK(cudaEventElapsedTime(&milliseconds, start, end) == cudaSuccess && milliseconds >= 0);
  cudaEventDestroy(start);
  cudaEventDestroy(end);
  cudaGetLastError();
}

// ---- memory ----

void copies_stay_in_their_memory() {
  Bench bench;
  std::vector<float> plain(kCount);
  const cudaStream_t stream = bench.stream.handle();
  const auto copy = [&](void* target, const void* source, size_t bytes, cudaMemcpyKind kind) {
    return cudaMemcpy(target, source, bytes, kind) == cudaSuccess;
  };
  OA_CHECK(copy(bench.device, plain.data(), kBytes, cudaMemcpyHostToDevice));
  OA_CHECK(!copy(bench.device, plain.data(), kBytes + 4, cudaMemcpyHostToDevice));
  OA_CHECK(!copy(bench.device + 1, plain.data(), kBytes, cudaMemcpyHostToDevice));
  OA_CHECK(!copy(bench.device, plain.data(), 4, cudaMemcpyDeviceToHost));
  OA_CHECK(!copy(plain.data(), plain.data(), 4, cudaMemcpyHostToDevice));
  OA_CHECK(!copy(bench.device, plain.data(), 4, cudaMemcpyDeviceToDevice));
  OA_CHECK(cudaMemset(bench.device, 0, kBytes + 1) == cudaErrorInvalidValue);
  OA_CHECK(cudaMemsetAsync(bench.host, 0, 4, stream) == cudaErrorInvalidValue);
  // Such a copy would make a step wait.
  OA_CHECK(cudaMemcpyAsync(bench.device, plain.data(), 4, cudaMemcpyHostToDevice, stream) == cudaErrorInvalidValue);
  OA_CHECK(cudaMemcpyAsync(bench.device, bench.host, 4, cudaMemcpyHostToDevice, stream) == cudaSuccess);
  OA_CHECK(cudaFree(bench.device + 1) == cudaErrorInvalidValue);
  OA_CHECK(cudaFreeHost(plain.data()) == cudaErrorInvalidValue);
  bench.stream.wait();
  cudaGetLastError();
}

void memory_ends() {
  const Machine machine("order=3,memory=1048575");
  void *first = nullptr, *second = nullptr;
  OA_CHECK(cudaMalloc(&first, 700000) == cudaSuccess);
  OA_CHECK(cudaMalloc(&second, 700000) == cudaErrorMemoryAllocation);
  OA_CHECK(error_code([] { cuda::check(cudaGetLastError(), "a test"); }) == "ERR_MEMORY");
  OA_CHECK(cudaFree(first) == cudaSuccess);
  OA_CHECK(cudaMalloc(&second, 700000) == cudaSuccess && cudaFree(second) == cudaSuccess);
  OA_CHECK(cudaMalloc(&first, ~size_t{0} - 8) == cudaErrorMemoryAllocation);
  OA_CHECK(error_code([] { Stream(0, Precision::fp32); }) == "ERR_MEMORY");  // its workspace is larger
  cudaGetLastError();
}

// Fresh memory holds no zeros.
void memory_is_not_cleared() {
  unsigned* data = nullptr;
  unsigned value = 0;
  cuda::check(cudaMalloc(reinterpret_cast<void**>(&data), sizeof value), "a test");
  cuda::check(cudaMemcpy(&value, data, sizeof value, cudaMemcpyDeviceToHost), "a test");
  OA_CHECK(value == 0xffffffffu);
  cudaFree(data);
}

// A pointer to memory of the device is of use to kernels and copies alone.
void the_host_cannot_touch_the_device() {
  Bench bench;
  const auto ends_well = [](const volatile float* at) {
    std::fflush(nullptr);
    const pid_t child = fork();
    if (child == 0) {
      if (!std::freopen("/dev/null", "w", stderr)) _exit(2);
      const float value = *at;
      _exit(value == 0 ? 0 : 1);
    }
    int status = 1;
    return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  };
  OA_CHECK(!ends_well(bench.device));
  OA_CHECK(ends_well(bench.host));
}

// ---- orders from the environment ----

__global__ void count_kernel(float* y) {
  if (threadIdx.x == 0) y[blockIdx.x] = blockIdx.x == 0 ? 0.0f : y[blockIdx.x - 1] + 1.0f;
}

// Two launches with a wait between; what they leave depends on the order.
std::vector<float> counted(const char* words) {
  const Machine machine(words);
  Bench bench;
  std::vector<float> all(2 * kCount);
  for (int i = 0; i < 2; ++i) {
    cuda::check(cudaMemset(bench.device, 0, kBytes), "a test");
    launch(bench.stream, {"count", dim3(kCount), dim3(32)}, count_kernel, bench.device);
    bench.stream.wait();
    cuda::check(cudaMemcpy(all.data() + i * kCount, bench.device, kBytes, cudaMemcpyDeviceToHost), "a test");
  }
  return all;
}

void the_environment_sets_orders() {
  const auto plain = counted("");
  OA_CHECK(plain[kCount - 1] == kCount - 1);
  const auto seven = counted("old-something,order=7");
  OA_CHECK(seven != plain && seven == counted("order=7") && seven != counted("order=8"));
  OA_CHECK(!std::equal(seven.begin(), seven.begin() + kCount, seven.begin() + kCount));
  OA_CHECK(counted("disorder=7") == plain && counted("order=0") == plain);
}

// y = a + b over the tokens, for a session on the device.
std::vector<std::byte> sum_program(int64_t tokens) {
  ProgramWriter w;
  w.tokens = tokens;
  w.parameters = kCount;
  const uint32_t ids = w.input(Input::ids, {per_token()}), cu = w.input(Input::cu, {cumulative()});
  const uint32_t word = w.buffer(Storage::parameter, {fixed(1), fixed(kCount)});
  const uint32_t a = w.buffer(Storage::activation, {per_token(), fixed(kCount)});
  const uint32_t y = w.buffer(Storage::activation, {per_token(), fixed(kCount)});
  w.entry("step", kNone, kNone, y, 2);
  w.op("embedding", {a, ids, kNone, cu, word, kNone, kNone}, {0});
  w.op("add", {y, a, a});
  return w.bytes();
}

void a_plan_without_room_changes_nothing() {
  Session session(std::make_shared<Weights>(find_device("cuda")), sum_program(8), {1, true});
  const std::vector<float> parameters(kCount, 1.5f);
  session.write_slot(Storage::parameter, parameters.data());
  const int32_t ids[] = {0}, cu[] = {0, 1};
  const auto gives_three = [&] {
    session.run(0, one_sequence(ids, cu, 1));
    const auto y = session.output(0);
    return y.size() == kCount && std::all_of(y.begin(), y.end(), [](float v) { return v == 3.0f; });
  };
  OA_CHECK(gives_three());
  {
    const Machine machine("memory=3000000");  // its queue fits, its activations do not
    OA_CHECK(error_code([&] { session.replan(sum_program(1 << 14)); }) == "ERR_MEMORY");
  }
  {
    const Machine machine("memory=1500000");  // not even its queue
    OA_CHECK(error_code([&] { session.replan(sum_program(16)); }) == "ERR_MEMORY");
  }
  OA_CHECK(gives_three());
  session.replan(sum_program(16));
  OA_CHECK(gives_three());
}

}  // namespace

void test_cuda_runtime() {
  const Machine plain("");
  run("learning rates by value are frozen in a captured step", rates_by_value_are_frozen);
  run("captured work waits for its launch", captured_work_waits_for_its_launch);
  run("captures refuse what waits or allocates", captures_refuse_what_waits_or_allocates);
  run("results are there after a wait, not before", results_are_there_after_a_wait);
  run("uploads read the host late", uploads_read_the_host_late);
  run("events are done after a wait, not before", events_are_done_after_a_wait);
  run("copies stay in their memory", copies_stay_in_their_memory);
  run("memory ends", memory_ends);
  run("the host cannot touch memory of the device", the_host_cannot_touch_the_device);
  run("fresh memory is not cleared", memory_is_not_cleared);
  run("the environment sets orders", the_environment_sets_orders);
  run("a plan without room changes nothing", a_plan_without_room_changes_nothing);
}

}  // namespace oa::selftest
