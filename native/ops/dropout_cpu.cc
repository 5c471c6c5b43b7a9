#include "ops/dropout.h"

#include "cpu/philox.h"
#include "ops/check.h"
#include "ops/chunks.h"
#include "ops/rows.h"

namespace oa::OA_ISA {

namespace {

constexpr int64_t kElements = 8192;  // a multiple of 4: each Philox block stays within one chunk

}  // namespace

const char* check_dropout(const Call& call) {
  if (!same_shape(call[0], call[1])) return "x must have the shape of y";
  if (!is_dropout(call.attribute_f32(0))) return "dropout must be at least 0 and less than 1";
  return nullptr;
}

int64_t scratch_dropout(const Call&) { return 0; }

void run_dropout(const Call& call) {
  const DropoutCall d(call);
  const bool keep_all = d.dropout == 0;
  if (keep_all && d.y == d.x) return;
  const DropoutStream stream(d.dropout, d.rng, *call.scalars, 0);
  call.pool->parallel_for(chunk_count(d.size, kElements), [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kElements, d.size);
    if (keep_all) {
      copy_row(d.y + range.begin, d.x + range.begin, range.end - range.begin);
      return;
    }
    int64_t i = range.begin;
    for (; i + kLanes <= range.end; i += kLanes) store(d.y + i, load(d.x + i) * stream.mask(i));
    if (i < range.end) {
      const int rest = static_cast<int>(range.end - i);
      store_partial(d.y + i, load_partial(d.x + i, rest) * stream.mask(i), rest);
    }
  });
}

}  // namespace oa::OA_ISA
