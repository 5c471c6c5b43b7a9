#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "cuda_runtime.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace standin {

using Work = std::function<void()>;

struct Stream {
  std::vector<Work> pending;
  Graph* capturing = nullptr;
  uint64_t order = 0;  // the seed of this stream's orders, if the machine has one
  uint64_t drains = 0;
};
struct Event {
  std::chrono::steady_clock::time_point at;
  bool done = false;
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

// Behind every allocation of the device, never to be touched: watched after each kernel, or by AddressSanitizer.
constexpr size_t kTailBytes = 256;
constexpr unsigned char kTail = 0xe5;

std::mutex mutex;
std::map<void*, size_t> allocations;       // of the device
std::map<void*, size_t> host_allocations;  // page-locked
size_t allocated = 0;
thread_local int captures = 0;  // under way in this thread
thread_local cudaError_t last = cudaSuccess;
thread_local std::string problem;  // what a Fault said

// With the word `lost=<n>` the nth kernel of the process is the device's last: then every call fails alike.
std::atomic<uint64_t> kernels_run = 0;
std::atomic<bool> is_lost = false;

cudaError_t set(cudaError_t error) {
  if (is_lost) error = cudaErrorUnknown;
  if (error != cudaSuccess) last = error;
  return error;
}

size_t whole(size_t bytes) { return (bytes + 255) / 256 * 256; }

// ---- memory of the device is out of the host's reach ----

int accesses = 0;  // under way, in all threads; `mutex` guards it

// Pages of an allocation.
size_t mapped(size_t bytes) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  return (whole(bytes) + kTailBytes + page - 1) / page * page;
}

void protect_all(int protection) {
  for (const auto& [data, bytes] : allocations) mprotect(data, mapped(bytes), protection);
}

// While one lives, memory of the device can be read and written: for kernels and copies.
class Access {
 public:
  Access() {
    const std::lock_guard lock(mutex);
    if (accesses++ == 0) protect_all(PROT_READ | PROT_WRITE);
  }
  ~Access() {
    const std::lock_guard lock(mutex);
    if (--accesses == 0) protect_all(PROT_NONE);
  }
  Access(const Access&) = delete;
  Access& operator=(const Access&) = delete;
};

struct sigaction former_action;

// Says why the program ends, where it is for this; then the signal takes its former way.
void explain_signal(int, siginfo_t* info, void*) {
  if (mutex.try_lock()) {
    for (const auto& [data, bytes] : allocations) {
      const auto offset = static_cast<const char*>(info->si_addr) - static_cast<const char*>(data);
      constexpr char kText[] = "The host touched memory of the device, which on a GPU is out of its reach\n";
      if (offset >= 0 && static_cast<size_t>(offset) < bytes && write(2, kText, sizeof kText - 1) < 0) break;
    }
    mutex.unlock();
  }
  sigaction(SIGSEGV, &former_action, nullptr);
}

// AddressSanitizer has a handler that shows more.
void watch_signals() {
#if !defined(__SANITIZE_ADDRESS__)
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action{};
    action.sa_sigaction = explain_signal;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &former_action);
  });
#endif
}

// Whether all of it lies in one allocation.
bool is_in(const std::map<void*, size_t>& known, const void* data, size_t bytes) {
  const std::lock_guard lock(mutex);
  const auto next = known.upper_bound(const_cast<void*>(data));
  if (next == known.begin()) return false;
  const auto& [start, size] = *std::prev(next);
  const auto offset = static_cast<size_t>(static_cast<const char*>(data) - static_cast<const char*>(start));
  return offset <= size && bytes <= size - offset;
}

void watch_tail(void* data, size_t bytes) {
  unsigned char* const tail = static_cast<unsigned char*>(data) + bytes;
  const size_t tail_bytes = whole(bytes) + kTailBytes - bytes;
#if defined(__SANITIZE_ADDRESS__)
  __asan_poison_memory_region(tail, tail_bytes);
#else
  std::memset(tail, kTail, tail_bytes);
#endif
}

// Throws Fault where a kernel wrote behind an allocation.
void check_tails([[maybe_unused]] const char* kernel) {
#if !defined(__SANITIZE_ADDRESS__)
  const std::lock_guard lock(mutex);
  for (const auto& [data, bytes] : allocations) {
    const unsigned char* const tail = static_cast<unsigned char*>(data) + bytes;
    const size_t tail_bytes = whole(bytes) + kTailBytes - bytes;
    for (size_t i = 0; i < tail_bytes; ++i) {
      if (tail[i] == kTail) continue;
      watch_tail(data, bytes);
      throw Fault(std::string("kernel ") + kernel + " wrote " + std::to_string(i) + " bytes behind the end of " +
                  std::to_string(bytes) + " bytes of device memory");
    }
  }
#endif
}

// The number of a word such as `order=7`, else `otherwise`.
uint64_t machine_number(const char* word, uint64_t otherwise) {
  const char* const text = std::getenv("ONNX_ADAPTERS_STANDIN");
  const size_t length = std::strlen(word);
  for (const char* at = text ? std::strstr(text, word) : nullptr; at; at = std::strstr(at + 1, word)) {
    if ((at == text || at[-1] == ',') && at[length] == '=') return std::strtoull(at + length + 1, nullptr, 10);
  }
  return otherwise;
}

// Gives a stream's own orders to what runs meanwhile.
class StreamOrder {
 public:
  explicit StreamOrder(Stream& stream) : is_own_(stream.order != 0) {
    if (is_own_) set_order(stream.order * 1000003 + stream.drains++);
  }
  ~StreamOrder() {
    if (is_own_) set_order(0);
  }

 private:
  bool is_own_;
};

// Runs what the stream holds. As on a GPU, a kernel that fails takes what follows with it.
cudaError_t drain(cudaStream_t stream) {
  std::vector<Work> work;
  work.swap(stream->pending);
  const StreamOrder order(*stream);
  const Access access;
  try {
    for (const Work& next : work) next();
  } catch (const Fault& fault) {
    problem = fault.what();
    return set(cudaErrorLaunchFailure);
  }
  return set(cudaSuccess);
}

// Throws Fault where the device goes.
void count_kernel(const char* name) {
  const uint64_t at = machine_number("lost", 0);
  if (at == 0 || ++kernels_run < at) return;
  is_lost = true;
  throw Fault(std::string("the device was lost in kernel ") + name);
}

bool is_whole(const char* text, size_t at, size_t length) {
  return (at == 0 || text[at - 1] == ',') && (text[at + length] == 0 || text[at + length] == ',');
}

}  // namespace

void enqueue(cudaStream_t stream, Work work) {
  (stream->capturing ? stream->capturing->nodes : stream->pending).push_back(std::move(work));
}

void launch(cudaStream_t stream, const char* name, dim3 blocks, dim3 threads, size_t shared_bytes, Work body) {
  enqueue(stream, [=] {
    count_kernel(name);
    run_grid(name, blocks, threads, shared_bytes, body);
    check_tails(name);
  });
}

bool machine_has(const char* word) {
  const char* const text = std::getenv("ONNX_ADAPTERS_STANDIN");
  const char* const at = text ? std::strstr(text, word) : nullptr;
  return at && is_whole(text, static_cast<size_t>(at - text), std::strlen(word));
}

size_t machine_memory() { return machine_number("memory", kMemory); }

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
    case cudaErrorNotReady: return "cudaErrorNotReady";
    case cudaErrorLaunchFailure: return "cudaErrorLaunchFailure";
    case cudaErrorStreamCaptureUnsupported: return "cudaErrorStreamCaptureUnsupported";
    case cudaErrorUnknown: return "cudaErrorUnknown";
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

cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device) {
  if (device != 0) return set(cudaErrorInvalidDevice);
  constexpr int kMultiprocessors = 3;  // few, so that blocks which go on from tile to tile do so in small tests
  switch (attribute) {
    case cudaDevAttrMultiProcessorCount: *value = kMultiprocessors; break;
    case cudaDevAttrComputeCapabilityMajor: *value = machine_has("old-gpu") ? 7 : 8; break;
    case cudaDevAttrComputeCapabilityMinor: *value = 0; break;
    case cudaDevAttrMaxSharedMemoryPerBlockOptin: *value = (machine_has("small-shared") ? 163 : 227) << 10; break;
    default: return set(cudaErrorInvalidValue);
  }
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

cudaError_t cudaSetDevice(int device) { return set(device == 0 ? cudaSuccess : cudaErrorInvalidDevice); }

cudaError_t cudaDriverGetVersion(int* version) {
  *version = machine_has("no-driver") ? 0 : machine_has("old-driver") ? kOldDriver : kDriver;
  return cudaSuccess;
}

cudaError_t cudaMalloc(void** data, size_t bytes) {
  if (is_lost) return set(cudaErrorUnknown);
  if (captures > 0) return set(cudaErrorStreamCaptureUnsupported);
  const std::lock_guard lock(mutex);
  const size_t memory = machine_memory();
  if (bytes > memory || allocated > memory - bytes) return set(cudaErrorMemoryAllocation);
  void* const block = mmap(nullptr, mapped(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (block == MAP_FAILED) return set(cudaErrorMemoryAllocation);
  watch_signals();
  std::memset(block, 0xff, bytes);
  watch_tail(block, bytes);
  if (accesses == 0) mprotect(block, mapped(bytes), PROT_NONE);
  *data = block;
  allocations[block] = bytes;
  allocated += bytes;
  return cudaSuccess;
}

cudaError_t cudaFree(void* data) {
  if (!data) return set(cudaSuccess);
  if (captures > 0) return set(cudaErrorStreamCaptureUnsupported);
  const std::lock_guard lock(mutex);
  const auto found = allocations.find(data);
  if (found == allocations.end()) return set(cudaErrorInvalidValue);
  allocated -= found->second;
#if defined(__SANITIZE_ADDRESS__)
  __asan_unpoison_memory_region(data, whole(found->second) + kTailBytes);
#endif
  munmap(data, mapped(found->second));
  allocations.erase(found);
  return cudaSuccess;
}

cudaError_t cudaMallocHost(void** data, size_t bytes) {
  if (is_lost) return set(cudaErrorUnknown);
  *data = std::malloc(bytes ? bytes : 1);
  if (!*data) return set(cudaErrorMemoryAllocation);
  const std::lock_guard lock(mutex);
  host_allocations[*data] = bytes;
  return cudaSuccess;
}

cudaError_t cudaFreeHost(void* data) {
  const std::lock_guard lock(mutex);
  if (data && host_allocations.erase(data) == 0) return set(cudaErrorInvalidValue);
  std::free(data);
  return cudaSuccess;
}

namespace {

// Whether target and source lie where `kind` says, as far as this machine knows: host memory is what is not its own.
bool is_copy(const void* target, const void* source, size_t bytes, cudaMemcpyKind kind) {
  return is_in(allocations, target, bytes) == (kind != cudaMemcpyDeviceToHost) &&
         is_in(allocations, source, bytes) == (kind != cudaMemcpyHostToDevice);
}

}  // namespace

cudaError_t cudaMemcpy(void* target, const void* source, size_t bytes, cudaMemcpyKind kind) {
  if (is_lost) return set(cudaErrorUnknown);
  if (captures > 0) return set(cudaErrorStreamCaptureUnsupported);
  if (!is_copy(target, source, bytes, kind)) return set(cudaErrorInvalidValue);
  const Access access;
  std::memcpy(target, source, bytes);
  return cudaSuccess;
}

cudaError_t cudaMemset(void* target, int byte, size_t bytes) {
  if (is_lost) return set(cudaErrorUnknown);
  if (captures > 0) return set(cudaErrorStreamCaptureUnsupported);
  if (!is_in(allocations, target, bytes)) return set(cudaErrorInvalidValue);
  const Access access;
  std::memset(target, byte, bytes);
  return cudaSuccess;
}

// The real one takes any host memory, and waits where it is not page-locked; a step must not wait.
cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream) {
  if (is_lost) return set(cudaErrorUnknown);
  if (!is_copy(target, source, bytes, kind)) return set(cudaErrorInvalidValue);
  if (kind == cudaMemcpyHostToDevice && !is_in(host_allocations, source, bytes)) return set(cudaErrorInvalidValue);
  if (kind == cudaMemcpyDeviceToHost && !is_in(host_allocations, target, bytes)) return set(cudaErrorInvalidValue);
  enqueue(stream, [=] { std::memcpy(target, source, bytes); });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* target, int byte, size_t bytes, cudaStream_t stream) {
  if (is_lost) return set(cudaErrorUnknown);
  if (!is_in(allocations, target, bytes)) return set(cudaErrorInvalidValue);
  enqueue(stream, [=] { std::memset(target, byte, bytes); });
  return cudaSuccess;
}

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned) {
  if (is_lost) return set(cudaErrorUnknown);
  *stream = new Stream;
  (*stream)->order = machine_number("order", 0);
  return cudaSuccess;
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  delete stream;
  return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (is_lost) return set(cudaErrorUnknown);
  if (!stream) return cudaSuccess;  // what goes there is done at once
  return stream->capturing ? set(cudaErrorStreamCaptureUnsupported) : drain(stream);
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  if (is_lost) return set(cudaErrorUnknown);
  *event = new Event;
  return cudaSuccess;
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  delete event;
  return cudaSuccess;
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  if (is_lost) return set(cudaErrorUnknown);
  event->done = false;
  enqueue(stream, [event] {
    event->at = std::chrono::steady_clock::now();
    event->done = true;
  });
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (is_lost) return set(cudaErrorUnknown);
  if (!start->done || !end->done) return set(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(end->at - start->at).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  if (is_lost) return set(cudaErrorUnknown);
  if (stream->capturing) return set(cudaErrorStreamCaptureUnsupported);
  stream->capturing = new Graph;
  ++captures;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  if (!stream->capturing) return set(cudaErrorStreamCaptureUnsupported);
  *graph = stream->capturing;
  stream->capturing = nullptr;
  --captures;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  if (is_lost) return set(cudaErrorUnknown);
  *executable = new Executable{graph->nodes};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  if (is_lost) return set(cudaErrorUnknown);
  if (stream->capturing) return set(cudaErrorStreamCaptureUnsupported);
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
