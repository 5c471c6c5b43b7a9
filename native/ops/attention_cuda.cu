#define OA_ISA cuda
#include "ops/attention.h"

#include "base/error.h"
#include "cuda/launch.cuh"

namespace oa::cuda {

int64_t scratch_attention(const Call&) { return 0; }

void run_attention(const Call&) { throw Error("ERR_DEVICE", "attention is not written yet"); }

int64_t scratch_attention_backward(const Call&) { return 0; }

void run_attention_backward(const Call&) { throw Error("ERR_DEVICE", "attention_backward is not written yet"); }

}  // namespace oa::cuda
