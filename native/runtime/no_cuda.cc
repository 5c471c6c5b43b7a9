// In the place of cuda_device.cc where the addon is built without CUDA.
#include "base/error.h"
#include "runtime/cuda_device.h"

namespace oa {

CudaDescription describe_cuda() {
  CudaDescription none;
  none.reason = "the addon was built without CUDA; with a CUDA toolkit: npx onnx-adapters build --cuda on";
  return none;
}

std::shared_ptr<const Device> cuda_device(int, DevicePrecision) { throw Error("ERR_DEVICE", describe_cuda().reason); }

}  // namespace oa
