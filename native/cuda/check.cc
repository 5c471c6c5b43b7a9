#include "cuda/check.h"

#include <string>

#include "base/error.h"

namespace oa::cuda {
namespace {

std::string advice(cudaError_t status) {
  switch (status) {
    case cudaErrorMemoryAllocation: return "; lower the batch size or the maximal length, or use a larger GPU";
    case cudaErrorInsufficientDriver: return "; install a newer NVIDIA driver, or build with an older CUDA toolkit";
    case cudaErrorNoDevice: return "; no NVIDIA GPU is visible (see nvidia-smi and CUDA_VISIBLE_DEVICES)";
    case cudaErrorNoKernelImageForDevice:
      return "; the addon holds no kernels for this GPU: build it with ONNX_ADAPTERS_CUDA_ARCHS=<its architecture>";
    default: return "; the GPU cannot go on in this process: start again, and if it recurs report it with this message";
  }
}

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // what can be forgotten is: the next call starts clean
  const std::string name = cudaGetErrorName(status);
  throw Error(
      status == cudaErrorMemoryAllocation ? "ERR_MEMORY" : "ERR_DEVICE",
      std::string("CUDA failed at ") + what + ": " + cudaGetErrorString(status) + " (" + name + ")" + advice(status),
      {{"cuda", name}, {"what", what}});
}

}  // namespace oa::cuda
