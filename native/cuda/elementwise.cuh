// y[i] = f(inputs[i]...): ops without sums, each matrix in f32 or bf16. A thread takes one element; neighbours read
// neighbouring words.
#pragma once

#include "cuda/bf16.cuh"
#include "cuda/launch.cuh"

namespace oa::cuda {

struct Same {
  __device__ __forceinline__ float operator()(float a) const { return a; }
};
struct Sum {
  __device__ __forceinline__ float operator()(float a, float b) const { return a + b; }
};
struct Times {
  __device__ __forceinline__ float operator()(float a, float b) const { return a * b; }
};

template <class T, class F, class... Inputs>
__global__ void map_elements_kernel(T* y, int64_t n, F f, const Inputs*... inputs) {
  const int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (i < n) store(y + i, f(load(inputs + i)...));
}

// y may be one of the inputs.
template <class T, class F, class... Inputs>
void map_elements(Stream& stream, const char* name, T* y, int64_t n, F f, const Inputs*... inputs) {
  constexpr int kThreads = 256;
  launch(stream, {name, dim3(blocks_for(n, kThreads)), dim3(kThreads)}, map_elements_kernel<T, F, Inputs...>, y, n, f,
         inputs...);
}

}  // namespace oa::cuda
