// y = x in another type. Traffic: 6 bytes an element.
#define OA_ISA cuda
#include "ops/cast.h"

#include "cuda/elementwise.cuh"

namespace oa::cuda {

int64_t scratch_cast(const Call&) { return 0; }

void run_cast(const Call& call) {
  const CastCall cast(call);
  with_storage(call[0].dtype, [&](auto to) {
    with_storage(call[1].dtype, [&](auto from) {
      using To = decltype(to);
      using From = decltype(from);
      map_elements(*call.stream, "cast", static_cast<To*>(cast.y), cast.size, Same{}, static_cast<const From*>(cast.x));
    });
  });
}

}  // namespace oa::cuda
