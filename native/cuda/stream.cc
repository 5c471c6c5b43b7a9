#include "cuda/stream.h"

#include "cuda/check.h"

namespace oa::cuda {
namespace {

#ifdef OA_CUDA_STANDIN
// What the stand-in of the library asks for: tests make many streams.
constexpr size_t kWorkspaceBytes = size_t{1} << 20;
#else
// What NVIDIA recommends for Hopper; smaller GPUs need less, and it is one block a session.
constexpr size_t kWorkspaceBytes = size_t{32} << 20;
#endif

}  // namespace

Stream::Stream(int device, Precision precision) : device_(device) {
  check(cudaSetDevice(device_), "choosing the GPU");
  check(cudaDeviceGetAttribute(&multiprocessors_, cudaDevAttrMultiProcessorCount, device_), "asking the GPU");
  check(cudaDeviceGetAttribute(&shared_limit_, cudaDevAttrMaxSharedMemoryPerBlockOptin, device_), "asking the GPU");
  try {
    check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "making a stream");
    check(cudaMalloc(&workspace_, kWorkspaceBytes), "allocating the workspace of products");
    multiplier_ = std::make_unique<Multiplier>(precision, workspace_, kWorkspaceBytes);
  } catch (...) {
    release();
    throw;
  }
}

Stream::~Stream() { release(); }

void Stream::release() {
  cudaSetDevice(device_);
  if (stream_) cudaStreamSynchronize(stream_);
  multiplier_.reset();
  if (workspace_) cudaFree(workspace_);
  if (stream_) cudaStreamDestroy(stream_);
}

void Stream::multiply(const Product& product) {
  if (product.depth > 0) return multiplier_->multiply(stream_, product);
  const size_t element = product.c.type == BlasType::f32 ? sizeof(float) : sizeof(uint16_t);
  if (!product.accumulate) fill(product.c.data, 0, element * static_cast<size_t>(product.rows * product.columns));
}

void Stream::fill(void* target, unsigned char byte, size_t bytes) {
  if (bytes > 0) check(cudaMemsetAsync(target, byte, bytes, stream_), "filling memory");
}

void Stream::copy(void* target, const void* source, size_t bytes) {
  if (bytes > 0) check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyDeviceToDevice, stream_), "copying memory");
}

void Stream::upload(void* target, const void* source, size_t bytes) {
  if (bytes > 0) check(cudaMemcpyAsync(target, source, bytes, cudaMemcpyHostToDevice, stream_), "copying a batch");
}

void Stream::wait() { check(cudaStreamSynchronize(stream_), "running a step"); }

}  // namespace oa::cuda
