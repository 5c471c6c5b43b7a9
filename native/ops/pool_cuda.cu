#define OA_ISA cuda
#include "ops/pool.h"

#include "base/error.h"
#include "cuda/launch.cuh"

namespace oa::cuda {

int64_t scratch_pool(const Call&) { return 0; }

void run_pool(const Call&) { throw Error("ERR_DEVICE", "pool is not written yet"); }

int64_t scratch_pool_backward(const Call&) { return 0; }

void run_pool_backward(const Call&) { throw Error("ERR_DEVICE", "pool_backward is not written yet"); }

}  // namespace oa::cuda
