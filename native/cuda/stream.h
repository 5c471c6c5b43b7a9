// One stream of a GPU with what its ops need: products, copies, events. Used by one thread at a time.
#pragma once

#include <cuda_runtime.h>

#include <cstddef>
#include <memory>

#include "cuda/cublaslt.h"

namespace oa::cuda {

class Stream {
 public:
  // Throws ERR_DEVICE, ERR_MEMORY.
  Stream(int device, Precision precision);
  ~Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  cudaStream_t handle() const { return stream_; }

  // Of this GPU: processors that run blocks, and the most bytes of shared memory that a block may have.
  int multiprocessors() const { return multiprocessors_; }
  size_t shared_limit() const { return static_cast<size_t>(shared_limit_); }

  // A product by cuBLASLt. A depth of 0 gives zeros.
  void multiply(const Product& product);

  // Sets `bytes` of device memory.
  void fill(void* target, unsigned char byte, size_t bytes);

  // Between device memories.
  void copy(void* target, const void* source, size_t bytes);

  // From this process; `source` must be page-locked and stay as it is until the copy is done.
  void upload(void* target, const void* source, size_t bytes);

  // Until everything before is done. Throws ERR_DEVICE where any of it failed.
  void wait();

 private:
  void release();

  int device_;
  int multiprocessors_ = 0;
  int shared_limit_ = 0;
  cudaStream_t stream_ = nullptr;
  void* workspace_ = nullptr;
  std::unique_ptr<Multiplier> multiplier_;
};

}  // namespace oa::cuda
