// Copies from device memory to shared memory that run beside what the thread does: 16 bytes each, past the registers
// and the first-level cache. A thread's copies since the last commit are a group; groups arrive in their order. What
// has arrived is seen by the thread that waited for it, and by others behind a barrier that follows the wait.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "cuda/shared.cuh"

namespace oa::cuda {

constexpr int kCopyBytes = 16;

// To the 16 bytes from element `to` on; both places aligned to 16 bytes. Where `exists` is false zeros come, and
// nothing is read: `from` may then point anywhere.
template <class T, int N>
__device__ __forceinline__ void copy_async(SharedArray<T, N>& array, int to, const void* from, bool exists = true) {
#ifdef OA_CUDA_STANDIN
  standin::copy_async(array.at(to, kCopyBytes / sizeof(T)), exists ? from : nullptr, exists ? kCopyBytes : 0);
#else
  const auto target = static_cast<uint32_t>(__cvta_generic_to_shared(&array[to]));
  const int bytes = exists ? kCopyBytes : 0;
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" : : "r"(target), "l"(from), "r"(bytes) : "memory");
#endif
}

// Ends a group, which may be empty.
__device__ __forceinline__ void commit_copies() {
#ifdef OA_CUDA_STANDIN
  standin::commit_copies();
#else
  asm volatile("cp.async.commit_group;" : : : "memory");
#endif
}

// Asks for the line of device memory that holds `from`, to be in the second-level cache when it is read.
__device__ __forceinline__ void prefetch(const void* from) {
#ifdef OA_CUDA_STANDIN
  static_cast<void>(*static_cast<const volatile char*>(from));  // for AddressSanitizer
#else
  asm volatile("prefetch.global.L2 [%0];" : : "l"(from));
#endif
}

// Until all groups but the last kUnderWay have arrived.
template <int kUnderWay>
__device__ __forceinline__ void wait_for_copies() {
#ifdef OA_CUDA_STANDIN
  standin::wait_for_copies(kUnderWay);
#else
  asm volatile("cp.async.wait_group %0;" : : "n"(kUnderWay) : "memory");
#endif
}

}  // namespace oa::cuda
