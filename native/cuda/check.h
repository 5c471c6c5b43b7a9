// Every call of the CUDA runtime goes through check(): what fails becomes an Error that says what to do.
#pragma once

#include <cuda_runtime.h>

#include <string>
#include <string_view>

namespace oa::cuda {

// Throws ERR_MEMORY where the device has too little memory, else ERR_DEVICE; `what` is a phrase in the user's terms,
// such as "copying the frozen weights".
void check(cudaError_t status, const char* what);

// What to lower where there is no room for `what`: a clause that ends the message.
std::string memory_advice(std::string_view what);

// Why no GPU works in this process any more, after an error that every later call repeats; else empty.
std::string loss();

}  // namespace oa::cuda
