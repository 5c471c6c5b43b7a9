// Shared memory of a block. A kernel asks for one struct, of as many bytes as its launch named, and its arrays are
// SharedArrays: plain memory on a GPU; the stand-ins watch them for races, bounds and reads before the first write.
#pragma once

#include <cuda_runtime.h>

namespace oa::cuda {

#ifdef OA_CUDA_STANDIN

template <class T, int N>
using SharedArray = standin::WatchedArray<T, N>;

template <class Struct>
Struct& shared() {
  return *static_cast<Struct*>(standin::shared_memory(sizeof(Struct)));
}

#else

template <class T, int N>
struct SharedArray {
  T values[N];

  __device__ __forceinline__ T& operator[](int i) { return values[i]; }
  __device__ __forceinline__ const T& operator[](int i) const { return values[i]; }
};

template <class Struct>
__device__ __forceinline__ Struct& shared() {
  extern __shared__ __align__(16) unsigned char oa_shared_memory[];
  return *reinterpret_cast<Struct*>(oa_shared_memory);
}

#endif

}  // namespace oa::cuda
