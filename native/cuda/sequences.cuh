// Where a row of a packed batch belongs.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace oa::cuda {

// The sequence that holds `token`: the last b with cu[b] <= token, so empty sequences are stepped over. Of a token
// behind cu[sequences] it is the last sequence: ask is_padding first.
__device__ __forceinline__ int64_t sequence_at(const int32_t* cu, int64_t sequences, int64_t token) {
  int64_t low = 0, high = sequences - 1;
  while (low < high) {
    const int64_t middle = (low + high + 1) / 2;
    if (cu[middle] <= token)
      low = middle;
    else
      high = middle - 1;
  }
  return low;
}

// Rows behind the batch's own belong to no sequence.
__device__ __forceinline__ bool is_padding(const int32_t* cu, int64_t sequences, int64_t token) {
  return token >= cu[sequences];
}

}  // namespace oa::cuda
