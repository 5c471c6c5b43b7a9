#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cuda_runtime.h"

namespace standin {

using Work = std::function<void()>;

struct Stream {
  std::vector<Work> pending;
  Graph* capturing = nullptr;
};
struct Event {
  std::chrono::steady_clock::time_point at;
};
struct Graph {
  std::vector<Work> nodes;
};
struct Executable {
  std::vector<Work> nodes;
};

namespace {

constexpr size_t kMemory = size_t{4} << 30;
constexpr int kDriver = 13000;
constexpr int kOldDriver = 12000;

std::mutex mutex;
std::map<void*, size_t> allocations;  // of the device
size_t allocated = 0;
thread_local cudaError_t last = cudaSuccess;
thread_local std::string problem;  // what a Fault said

cudaError_t set(cudaError_t error) {
  if (error != cudaSuccess) last = error;
  return error;
}

// Runs what the stream holds. As on a GPU, a kernel that fails takes what follows with it.
cudaError_t drain(cudaStream_t stream) {
  std::vector<Work> work;
  work.swap(stream->pending);
  try {
    for (const Work& next : work) next();
  } catch (const Fault& fault) {
    problem = fault.what();
    return set(cudaErrorLaunchFailure);
  }
  return cudaSuccess;
}

bool is_whole(const char* text, size_t at, size_t length) {
  return (at == 0 || text[at - 1] == ',') && (text[at + length] == 0 || text[at + length] == ',');
}

}  // namespace

void enqueue(cudaStream_t stream, Work work) {
  (stream->capturing ? stream->capturing->nodes : stream->pending).push_back(std::move(work));
}

void launch(cudaStream_t stream, const char* name, dim3 blocks, dim3 threads, size_t shared_bytes, Work body) {
  enqueue(stream, [=] { run_grid(name, blocks, threads, shared_bytes, body); });
}

bool machine_has(const char* word) {
  const char* const text = std::getenv("ONNX_ADAPTERS_STANDIN");
  const char* const at = text ? std::strstr(text, word) : nullptr;
  return at && is_whole(text, static_cast<size_t>(at - text), std::strlen(word));
}

size_t machine_memory() {
  const char* const text = std::getenv("ONNX_ADAPTERS_STANDIN");
  const char* const at = text ? std::strstr(text, "memory=") : nullptr;
  return at ? std::strtoull(at + 7, nullptr, 10) : kMemory;
}

}  // namespace standin

using namespace standin;

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
    case cudaSuccess: return "cudaSuccess";
    case cudaErrorInvalidValue: return "cudaErrorInvalidValue";
    case cudaErrorMemoryAllocation: return "cudaErrorMemoryAllocation";
    case cudaErrorInsufficientDriver: return "cudaErrorInsufficientDriver";
    case cudaErrorNoDevice: return "cudaErrorNoDevice";
    case cudaErrorInvalidDevice: return "cudaErrorInvalidDevice";
    case cudaErrorNoKernelImageForDevice: return "cudaErrorNoKernelImageForDevice";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
  }
  return "unknown";
}

const char* cudaGetErrorString(cudaError_t error) {
  return error == cudaErrorLaunchFailure ? problem.c_str() : cudaGetErrorName(error);
}

cudaError_t cudaGetLastError() {
  const cudaError_t error = last;
  last = cudaSuccess;
  return error;
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  if (machine_has("no-driver") || machine_has("old-driver")) return set(cudaErrorInsufficientDriver);
  if (machine_has("no-gpu")) return set(cudaErrorNoDevice);
  *count = 1;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device) {
  if (device != 0) return set(cudaErrorInvalidDevice);
  *properties = {};
  std::strcpy(properties->name, "CPU that stands in for a GPU");
  properties->totalGlobalMem = machine_memory();
  properties->major = machine_has("old-gpu") ? 7 : 8;
  properties->minor = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int device) { return device == 0 ? cudaSuccess : set(cudaErrorInvalidDevice); }

cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine_has("no-driver") ? 0 : machine_has("old-driver") ? kOldDriver : kDriver;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  const std::lock_guard lock(mutex);
  if (allocated + bytes > machine_memory()) return set(cudaErrorMemoryAllocation);
  *data = std::aligned_alloc(256, (bytes + 255) / 256 * 256 + 256);
  if (!*data) return set(cudaErrorMemoryAllocation);
  std::memset(*data, 0xff, bytes);
  allocations[*data] = bytes;
  allocated += bytes;
  return cudaSuccess;
}

cudaError_t cudaFree(void* data) {
  if (!data) return cudaSuccess;
  const std::lock_guard lock(mutex);
  const auto found = allocations.find(data);
  if (found == allocations.end()) return set(cudaErrorInvalidValue);
  allocated -= found->second;
  allocations.erase(found);
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** data, size_t bytes) {
  *data = std::malloc(bytes ? bytes : 1);
  return *data ? cudaSuccess : set(cudaErrorMemoryAllocation);
}

cudaError_t cudaFreeHost(void* data) {
  std::free(data);
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* target, const void* source, size_t bytes, cudaMemcpyKind) {
  std::memcpy(target, source, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemset(void* target, int byte, size_t bytes) {
  std::memset(target, byte, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  enqueue(stream, [=] { std::memcpy(target, source, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* target, int byte, size_t bytes, cudaStream_t stream) {
  enqueue(stream, [=] { std::memset(target, byte, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  *stream = new Stream;
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  return stream->capturing ? set(cudaErrorStreamCaptureUnsupported) : drain(stream);
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  *event = new Event;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  enqueue(stream, [event] { event->at = std::chrono::steady_clock::now(); });
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - start->at).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (stream->capturing) return set(cudaErrorStreamCaptureUnsupported);
  stream->capturing = new Graph;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->capturing) return set(cudaErrorStreamCaptureUnsupported);
  *graph = stream->capturing;
  stream->capturing = nullptr;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new Executable{graph->nodes};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  for (const Work& node : executable->nodes) enqueue(stream, node);
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
