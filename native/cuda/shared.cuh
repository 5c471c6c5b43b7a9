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

template <class V, class T, int N>
V load_wide(const SharedArray<T, N>& array, int i) {
  return standin::Watched<V>(standin::wide<V>(const_cast<SharedArray<T, N>&>(array), i));
}
template <class V, class T, int N>
void store_wide(SharedArray<T, N>& array, int i, V value) {
  standin::Watched<V>(standin::wide<V>(array, i)) = value;
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

// Elements from i on in one access, a V, to whose size their place has to be aligned.
template <class V, class T, int N>
__device__ __forceinline__ V load_wide(const SharedArray<T, N>& array, int i) {
  return *reinterpret_cast<const V*>(&array[i]);
}
template <class V, class T, int N>
__device__ __forceinline__ void store_wide(SharedArray<T, N>& array, int i, V value) {
  *reinterpret_cast<V*>(&array[i]) = value;
}

#endif

}  // namespace oa::cuda
