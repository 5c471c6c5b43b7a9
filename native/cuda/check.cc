#include "cuda/check.h"

#include <mutex>

#include "base/error.h"

namespace oa::cuda {
namespace {

std::mutex loss_mutex;
std::string loss_text;

std::string advice(cudaError_t status, const char* what) {
  switch (status) {
    case cudaErrorMemoryAllocation: return memory_advice(what);
    case cudaErrorInsufficientDriver: return "; install a newer NVIDIA driver, or build with an older CUDA toolkit";
    case cudaErrorNoDevice: return "; no NVIDIA GPU is visible (see nvidia-smi and CUDA_VISIBLE_DEVICES)";
    case cudaErrorNoKernelImageForDevice:
      return "; the addon holds no kernels for this GPU: build it with ONNX_ADAPTERS_CUDA_ARCHS=<its architecture>";
    default:
      return "; the GPU cannot go on in this process: start again (a training resumes at its last checkpoint), look at "
             "nvidia-smi, and if it recurs report it with this message";
  }
}

// Some errors leave the GPU's context broken: then every call repeats them, one that does nothing too.
void note_loss(cudaError_t status, const std::string& message) {
  if (cudaFree(nullptr) != status) return;
  const std::lock_guard lock(loss_mutex);
  if (loss_text.empty()) loss_text = "the GPU was lost to this process earlier (" + message + "): start again";
}

}  // namespace

void check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // what can be forgotten is: the next call starts clean
  const std::string name = cudaGetErrorName(status);
  const std::string message =
      std::string("CUDA failed at ") + what + ": " + cudaGetErrorString(status) + " (" + name + ")";
  const bool is_memory = status == cudaErrorMemoryAllocation;
  if (!is_memory) note_loss(status, message);
  throw Error(is_memory ? "ERR_MEMORY" : "ERR_DEVICE", message + advice(status, what),
              {{"cuda", name}, {"what", what}});
}

std::string memory_advice(std::string_view what) {
  if (what == "the frozen weights" || what == "the parameters" || what == "the gradients" ||
      what == "the first moments" || what == "the second moments") {
    return "; the model itself does not fit, whatever the batch: take a smaller backbone, train less of it, free "
           "memory on the GPU (nvidia-smi shows who holds it), or use a larger one or device 'cpu'";
  }
  return "; lower option \"batchSize\" or option \"maxLength\", free memory on the GPU (nvidia-smi shows who holds "
         "it), or "
         "use a larger one";
}

std::string loss() {
  const std::lock_guard lock(loss_mutex);
  return loss_text;
}

}  // namespace oa::cuda
