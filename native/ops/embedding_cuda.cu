#define OA_ISA cuda
#include "ops/embedding.h"

#include "base/error.h"
#include "cuda/launch.cuh"

namespace oa::cuda {

int64_t scratch_embedding(const Call&) { return 0; }

void run_embedding(const Call&) { throw Error("ERR_DEVICE", "embedding is not written yet"); }

int64_t scratch_embedding_backward(const Call&) { return 0; }

void run_embedding_backward(const Call&) { throw Error("ERR_DEVICE", "embedding_backward is not written yet"); }

}  // namespace oa::cuda
