#include "ops/cast.h"

#include <cstring>

#include "ops/chunks.h"
#include "ops/shapes.h"

namespace oa::OA_ISA {

namespace {

constexpr int64_t kElements = 8192;

}  // namespace

const char* check_cast(const Call& call) {
  return same_shape(call[0], call[1]) ? nullptr : "x must have the shape of y";
}

int64_t scratch_cast(const Call&) { return 0; }

// A CPU has f32 alone, so that this is a copy.
void run_cast(const Call& call) {
  const CastCall cast(call);
  auto* const y = static_cast<float*>(cast.y);
  const auto* const x = static_cast<const float*>(cast.x);
  call.pool->parallel_for(chunk_count(cast.size, kElements), [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kElements, cast.size);
    std::memcpy(y + range.begin, x + range.begin, static_cast<size_t>(range.end - range.begin) * sizeof(float));
  });
}

}  // namespace oa::OA_ISA
