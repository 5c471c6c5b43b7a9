#define OA_ISA cuda
#include "ops/linear.h"

#include "base/error.h"
#include "cuda/launch.cuh"

namespace oa::cuda {

int64_t scratch_linear(const Call&) { return 0; }

void run_linear(const Call&) { throw Error("ERR_DEVICE", "linear is not written yet"); }

int64_t scratch_linear_dx(const Call&) { return 0; }

void run_linear_dx(const Call&) { throw Error("ERR_DEVICE", "linear_dx is not written yet"); }

int64_t scratch_linear_dw(const Call&) { return 0; }

void run_linear_dw(const Call&) { throw Error("ERR_DEVICE", "linear_dw is not written yet"); }

}  // namespace oa::cuda
