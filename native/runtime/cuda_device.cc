#include "runtime/cuda_device.h"

#include <cuda_runtime.h>

#include <algorithm>

#include "base/error.h"
#include "cuda/check.h"
#include "ops/cuda_table.h"
#include "runtime/cuda_queue.h"

namespace oa {
namespace {

using cuda::check;

constexpr int kLeastMajor = 8;  // sm_80: the first with bf16 and asynchronous copies

std::string version_text(int version) {
  return std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10);
}

std::string gpu_text(const cudaDeviceProp& gpu) {
  return std::string(gpu.name) + " (sm_" + std::to_string(gpu.major) + std::to_string(gpu.minor) + ", " +
         std::to_string(gpu.totalGlobalMem >> 30) + " GiB)";
}

std::string driver_problem() {
  int driver = 0;
  if (cudaDriverGetVersion(&driver) != cudaSuccess || driver == 0) {
    return "no NVIDIA driver was found; install one (nvidia-smi shows it)";
  }
  if (driver / 1000 < CUDART_VERSION / 1000) {
    return "the NVIDIA driver supports CUDA " + version_text(driver) + ", the addon was built with CUDA " +
           version_text(CUDART_VERSION) + ": install a newer driver, or build with an older toolkit";
  }
  return "";
}

// What hinders GPU `index`, of which there are `count`.
std::string gpu_problem(int index, int count) {
  if (index >= count) {
    return "there is no GPU " + std::to_string(index) + ": " +
           (count == 1 ? "the only one is 0" : "they are 0 to " + std::to_string(count - 1));
  }
  cudaDeviceProp gpu{};
  if (cudaGetDeviceProperties(&gpu, index) != cudaSuccess) return "GPU " + std::to_string(index) + " does not answer";
  if (gpu.major < kLeastMajor) return gpu_text(gpu) + " is too old: sm_80 (Ampere) or later is needed";
  return "";
}

int count_gpus(std::string& problem) {
  int count = 0;
  problem = driver_problem();
  if (problem.empty()) problem = cuda::loss();
  if (!problem.empty()) return 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  cudaGetLastError();
  if (status != cudaSuccess || count == 0) {
    problem = "no NVIDIA GPU is visible to this process (see nvidia-smi and CUDA_VISIBLE_DEVICES)";
    return 0;
  }
  return count;
}

std::string problem_of(int index) {
  std::string problem;
  const int count = count_gpus(problem);
  if (problem.empty()) problem = gpu_problem(index, count);
  if (problem.empty()) problem = cuda::cublaslt().problem;
  return problem;
}

std::string gpu_name(int index) { return "cuda:" + std::to_string(index); }

const char* suffix(DevicePrecision precision) {
  switch (precision) {
    case DevicePrecision::float32: return "";
    case DevicePrecision::tf32: return "/tf32";
    case DevicePrecision::bfloat16: return "/bfloat16";
  }
  return "";
}

class CudaDevice final : public Device {
 public:
  CudaDevice(int index, DevicePrecision precision)
      : index_(index),
        name_(gpu_name(index) + suffix(precision)),
        stores_bf16_(precision == DevicePrecision::bfloat16),
        products_(precision == DevicePrecision::tf32 ? cuda::Precision::tf32 : cuda::Precision::fp32) {}

  std::string_view name() const override { return name_; }
  const OpFunctions* table() const override { return cuda::cuda_table(); }
  const PackFunctions* packing() const override { return nullptr; }
  bool stores_bf16() const override { return stores_bf16_; }
  bool is_remote() const override { return true; }

  std::shared_ptr<Arena> allocate(size_t bytes, const char* what) const override {
    use();
    void* data = nullptr;
    const cudaError_t status = cudaMalloc(&data, std::max<size_t>(bytes, 64));
    if (status == cudaErrorMemoryAllocation) {
      cudaGetLastError();
      throw Error("ERR_MEMORY",
                  "the GPU has no room for the " + std::to_string((bytes >> 20) + 1) + " MiB of " + what +
                      cuda::memory_advice(what),
                  {{"bytes", std::to_string(bytes)}, {"what", what}});
    }
    check(status, what);
    check(cudaMemset(data, 0, std::max<size_t>(bytes, 64)), what);
    return std::make_shared<Arena>(data, bytes, [](void* block, size_t) { cudaFree(block); });
  }

  void read(void* host, const void* device, size_t bytes) const override {
    use();
    if (bytes > 0) check(cudaMemcpy(host, device, bytes, cudaMemcpyDeviceToHost), "reading memory");
  }
  void write(void* device, const void* host, size_t bytes) const override {
    use();
    if (bytes > 0) check(cudaMemcpy(device, host, bytes, cudaMemcpyHostToDevice), "writing memory");
  }
  void fill(void* device, unsigned char byte, size_t bytes) const override {
    use();
    if (bytes > 0) check(cudaMemset(device, byte, bytes), "filling memory");
  }
  std::unique_ptr<Queue> make_queue(const Program& program, int) const override {
    return std::make_unique<CudaQueue>(index_, products_, stores_bf16_, program);
  }

 private:
  // The current device belongs to the calling thread, and every session has its own.
  void use() const { check(cudaSetDevice(index_), "choosing the GPU"); }

  int index_;
  std::string name_;
  bool stores_bf16_;
  cuda::Precision products_;  // of two f32 matrices
};

}  // namespace

CudaDescription describe_cuda() {
  CudaDescription description;
  description.toolkit = version_text(CUDART_VERSION);
  const int count = count_gpus(description.reason);
  for (int i = 0; i < count; ++i) {
    cudaDeviceProp gpu{};
    description.gpus.push_back(cudaGetDeviceProperties(&gpu, i) == cudaSuccess ? gpu_text(gpu) : "does not answer");
  }
  if (description.reason.empty()) description.reason = problem_of(0);
  description.ok = description.reason.empty();
  int driver = 0;
  if (cudaDriverGetVersion(&driver) == cudaSuccess && driver > 0) description.driver = version_text(driver);
  if (description.ok) description.cublaslt = cuda::cublaslt_version();
  return description;
}

std::shared_ptr<const Device> cuda_device(int index, DevicePrecision precision) {
  const std::string problem = problem_of(index);
  if (!problem.empty()) throw Error("ERR_DEVICE", problem, {{"device", gpu_name(index)}});
  return std::make_shared<CudaDevice>(index, precision);
}

}  // namespace oa
