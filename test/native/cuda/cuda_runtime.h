// In the place of NVIDIA's header: the part of the CUDA runtime that this package uses, on the CPU. Numbers and
// meanings are the real ones. Work on a stream is kept until something waits for it, so that what the host may not yet
// rely on is not there yet; kernels run by block.h.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>

#include "block.h"
#include "tensor.h"

#define CUDART_VERSION 13000

#define __global__
#define __device__
#define __host__
#define __shared__ static_assert(false, "ask for shared memory with shared<Struct>()")
#define __forceinline__ inline
#define __restrict__ __restrict
#define __align__(bytes) alignas(bytes)
#define __launch_bounds__(...)

#define threadIdx (standin::this_thread().thread)
#define blockIdx (standin::this_thread().block)
#define blockDim (standin::this_thread().block_size)
#define gridDim (standin::this_thread().grid_size)
#define __syncthreads() standin::block_barrier(__FILE__, __LINE__)

struct dim3 {
  unsigned x = 1, y = 1, z = 1;
  constexpr dim3(unsigned x_ = 1, unsigned y_ = 1, unsigned z_ = 1) : x(x_), y(y_), z(z_) {}
  operator standin::Index3() const { return {x, y, z}; }
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  unsigned x, y;
};
struct alignas(16) uint4 {
  unsigned x, y, z, w;
};
struct alignas(8) int2 {
  int x, y;
};

// --- device functions ---

inline unsigned __umulhi(unsigned a, unsigned b) { return static_cast<unsigned>(uint64_t{a} * b >> 32); }
inline float normcdff(float x) { return 0.5f * std::erfc(-x * 0.70710678118654752f); }
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float __ldg(const float* at) { return *at; }
inline int __ldg(const int* at) { return *at; }
using std::isfinite;

// --- the runtime ---

enum cudaError_t {
  cudaSuccess = 0,
  cudaErrorInvalidValue = 1,
  cudaErrorMemoryAllocation = 2,
  cudaErrorInsufficientDriver = 35,
  cudaErrorNoDevice = 100,
  cudaErrorInvalidDevice = 101,
  cudaErrorNoKernelImageForDevice = 209,
  cudaErrorNotReady = 600,
  cudaErrorLaunchFailure = 719,
  cudaErrorStreamCaptureUnsupported = 900,
  cudaErrorUnknown = 999
};
enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2, cudaMemcpyDeviceToDevice = 3 };
enum cudaStreamCaptureMode { cudaStreamCaptureModeThreadLocal = 1 };
enum cudaDeviceAttr {
  cudaDevAttrMultiProcessorCount = 16,
  cudaDevAttrComputeCapabilityMajor = 75,
  cudaDevAttrComputeCapabilityMinor = 76,
  cudaDevAttrMaxSharedMemoryPerBlockOptin = 97
};
constexpr unsigned cudaStreamNonBlocking = 1;

namespace standin {
struct Stream;
struct Event;
struct Graph;
struct Executable;
}  // namespace standin
using cudaStream_t = standin::Stream*;
using cudaEvent_t = standin::Event*;
using cudaGraph_t = standin::Graph*;
using cudaGraphExec_t = standin::Executable*;

struct cudaDeviceProp {
  char name[256];
  size_t totalGlobalMem;
  int major, minor;
};

const char* cudaGetErrorName(cudaError_t error);
const char* cudaGetErrorString(cudaError_t error);
cudaError_t cudaGetLastError();

cudaError_t cudaGetDeviceCount(int* count);
cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int device);
cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr attribute, int device);
cudaError_t cudaSetDevice(int device);
cudaError_t cudaDriverGetVersion(int* version);

cudaError_t cudaMalloc(void** data, size_t bytes);
cudaError_t cudaFree(void* data);
cudaError_t cudaMallocHost(void** data, size_t bytes);
cudaError_t cudaFreeHost(void* data);
cudaError_t cudaMemcpy(void* target, const void* source, size_t bytes, cudaMemcpyKind kind);
cudaError_t cudaMemset(void* target, int byte, size_t bytes);
cudaError_t cudaMemcpyAsync(void* target, const void* source, size_t bytes, cudaMemcpyKind kind, cudaStream_t stream);
cudaError_t cudaMemsetAsync(void* target, int byte, size_t bytes, cudaStream_t stream);

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags);
cudaError_t cudaStreamDestroy(cudaStream_t stream);
cudaError_t cudaStreamSynchronize(cudaStream_t stream);

cudaError_t cudaEventCreate(cudaEvent_t* event);
cudaError_t cudaEventDestroy(cudaEvent_t event);
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream);
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end);

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode);
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph);
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long flags);
cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream);
cudaError_t cudaGraphDestroy(cudaGraph_t graph);
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable);

namespace standin {

// Puts work behind what the stream has; under capture into its graph.
void enqueue(cudaStream_t stream, std::function<void()> work);

void launch(cudaStream_t stream, const char* name, dim3 blocks, dim3 threads, size_t shared_bytes,
            std::function<void()> body);

// In the place of dlopen and dlsym.
void* open_library(const char* name);
void* find_symbol(void* library, const char* name);

// What is wrong with this imaginary machine: words of the variable ONNX_ADAPTERS_STANDIN, such as `no-driver`,
// `old-driver`, `no-gpu`, `old-gpu`, `small-shared` (163 KiB of it for a block, as on sm_80), `no-cublaslt`,
// `old-cublaslt`, `memory=<bytes>`; and `order=<seed>`: streams made from then on run their blocks and threads in
// random orders (block.h), others at each wait.
bool machine_has(const char* word);
size_t machine_memory();

}  // namespace standin
