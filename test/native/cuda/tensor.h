// What a warp does with matrices: products and loads of tensor cores, lane by lane as PTX lays them out (cuda/mma.cuh).
// All 32 lanes must arrive at the same place in the source.
#pragma once

#include <cstdint>

namespace standin {

// c[16, 8] += a[16, 16] · b[16, 8]; bf16 pairs, f32 sums, added in order.
void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1, const char* file, int line);

// `row`: the 16 bytes of shared memory that this lane names.
void load_matrices(uint32_t (&values)[4], const void* row, bool transposed, const char* file, int line);

}  // namespace standin
