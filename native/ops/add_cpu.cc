#include "ops/add.h"

#include "ops/chunks.h"
#include "ops/rows.h"
#include "ops/shapes.h"

namespace oa::OA_ISA {

namespace {

constexpr int64_t kElements = 8192;

}  // namespace

const char* check_add(const Call& call) {
  if (!same_shape(call[0], call[1])) return "a must have the shape of y";
  if (!same_shape(call[0], call[2])) return "b must have the shape of y";
  return nullptr;
}

int64_t scratch_add(const Call&) { return 0; }

void run_add(const Call& call) {
  const AddCall add(call);
  call.pool->parallel_for(chunk_count(add.size, kElements), [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kElements, add.size);
    map_row(
        add.y + range.begin, range.end - range.begin, [](Vec a, Vec b) { return a + b; }, add.a + range.begin,
        add.b + range.begin);
  });
}

}  // namespace oa::OA_ISA
