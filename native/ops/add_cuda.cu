// y = a + b. Traffic: 12 bytes an element.
#define OA_ISA cuda
#include "ops/add.h"

#include "cuda/elementwise.cuh"

namespace oa::cuda {

int64_t scratch_add(const Call&) { return 0; }

void run_add(const Call& call) {
  const AddCall add(call);
  map_elements(*call.stream, "add", add.y, add.size, Sum{}, add.a, add.b);
}

}  // namespace oa::cuda
