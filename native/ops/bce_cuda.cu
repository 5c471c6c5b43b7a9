#define OA_ISA cuda
#include "ops/bce.h"

#include "base/error.h"
#include "cuda/launch.cuh"

namespace oa::cuda {

int64_t scratch_bce(const Call&) { return 0; }

void run_bce(const Call&) { throw Error("ERR_DEVICE", "bce is not written yet"); }

int64_t scratch_bce_backward(const Call&) { return 0; }

void run_bce_backward(const Call&) { throw Error("ERR_DEVICE", "bce_backward is not written yet"); }

}  // namespace oa::cuda
