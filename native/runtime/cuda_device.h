// The GPUs that this build and this machine offer. cuda_device.cc holds the real thing; builds without CUDA get
// no_cuda.cc, which says so.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "runtime/device.h"

namespace oa {

struct CudaDescription {
  bool ok = false;
  std::string reason;             // why not: what was sought, and what to do
  std::string toolkit;            // "13.0", empty where the build has no CUDA
  std::string driver;             // the newest CUDA that the driver supports; empty where there is none
  std::string cublaslt;           // "13.1.0"; empty where it is not `ok`
  std::vector<std::string> gpus;  // in words, by index: "NVIDIA H100 80GB HBM3 (sm_90, 79 GiB)"
};

// Never throws; asks the driver each time.
CudaDescription describe_cuda();

// GPU number `index`, in one precision. Throws ERR_DEVICE with the reason.
std::shared_ptr<const Device> cuda_device(int index, DevicePrecision precision);

}  // namespace oa
