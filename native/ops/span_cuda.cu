#define OA_ISA cuda
#include "ops/span.h"

#include "base/error.h"
#include "cuda/launch.cuh"

namespace oa::cuda {

int64_t scratch_span(const Call&) { return 0; }

void run_span(const Call&) { throw Error("ERR_DEVICE", "span is not written yet"); }

int64_t scratch_span_backward(const Call&) { return 0; }

void run_span_backward(const Call&) { throw Error("ERR_DEVICE", "span_backward is not written yet"); }

}  // namespace oa::cuda
