#define OA_ISA cuda
#include "ops/adapter.h"

#include "base/error.h"
#include "cuda/launch.cuh"

namespace oa::cuda {

int64_t scratch_adapter(const Call&) { return 0; }

void run_adapter(const Call&) { throw Error("ERR_DEVICE", "adapter is not written yet"); }

int64_t scratch_adapter_backward(const Call&) { return 0; }

void run_adapter_backward(const Call&) { throw Error("ERR_DEVICE", "adapter_backward is not written yet"); }

}  // namespace oa::cuda
