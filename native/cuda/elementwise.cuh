// y[i] = f(inputs[i]...): ops without sums. A thread takes one element; neighbours read neighbouring words.
#pragma once

#include "cuda/launch.cuh"

namespace oa::cuda {

struct Sum {
  __device__ __forceinline__ float operator()(float a, float b) const { return a + b; }
};
struct Times {
  __device__ __forceinline__ float operator()(float a, float b) const { return a * b; }
};

template <class F, class... Inputs>
__global__ void map_elements_kernel(float* y, int64_t n, F f, const Inputs*... inputs) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) y[i] = f(inputs[i]...);
}

// y may be one of the inputs.
template <class F, class... Inputs>
void map_elements(Stream& stream, const char* name, float* y, int64_t n, F f, const Inputs*... inputs) {
  constexpr int kThreads = 256;
  launch(stream, {name, dim3(blocks_for(n, kThreads)), dim3(kThreads)}, map_elements_kernel<F, Inputs...>, y, n, f,
         inputs...);
}

}  // namespace oa::cuda
