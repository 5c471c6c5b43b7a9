// Every call of the CUDA runtime goes through check(): what fails becomes an Error that says what to do.
#pragma once

#include <cuda_runtime.h>

namespace oa::cuda {

// Throws ERR_MEMORY where the device has too little memory, else ERR_DEVICE; `what` is a phrase in the user's terms,
// such as "copying the frozen weights".
void check(cudaError_t status, const char* what);

}  // namespace oa::cuda
