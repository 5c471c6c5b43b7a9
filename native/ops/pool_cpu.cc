#include "ops/pool.h"

#include "ops/chunks.h"
#include "ops/rows.h"
#include "ops/shapes.h"

namespace oa::OA_ISA {

namespace {

constexpr int64_t kColumns = 256;  // a block of columns, so that one long sequence is not one thread's work
constexpr int64_t kRows = 16;

const char* check_mode(const Call& call) {
  const int32_t mode = call.attribute_i32(0);
  return mode == 0 || mode == 1 ? nullptr : "mode must be 0 (cls) or 1 (mean)";
}

// y[0, n) = mean over `length` rows of x, one row every `stride` floats.
void mean_rows(float* y, const float* x, int64_t length, int64_t stride, int64_t n) {
  copy_row(y, x, n);
  for (int64_t t = 1; t < length; ++t) add_row(y, x + t * stride, n);
  const Vec count = broadcast(static_cast<float>(length));
  map_row(y, n, [&](Vec sum) { return sum / count; }, y);
}

// What every token of a sequence receives: dy / length.
void share_row(float* dx, const float* dy, int64_t length, int64_t n) {
  const Vec count = broadcast(static_cast<float>(length));
  map_row(dx, n, [&](Vec d) { return d / count; }, dy);
}

}  // namespace

const char* check_pool(const Call& call) {
  if (call[0].rank != 2) return "y must be [B, C]";
  if (call[1].rank != 2 || call[1].shape[1] != call[0].shape[1]) return "x must be [T, C] with the columns of y";
  if (!is_vector(call[2], call[0].shape[0] + 1)) return "cu must be [B + 1], one more than the rows of y";
  return check_mode(call);
}

int64_t scratch_pool(const Call&) { return 0; }

void run_pool(const Call& call) {
  const PoolCall p(call);
  const int64_t blocks = chunk_count(p.columns, kColumns);
  call.pool->parallel_for(p.sequences * blocks, [&](int64_t chunk, int) {
    const int64_t sequence = chunk / blocks;
    const ChunkRange columns = chunk_range(chunk % blocks, kColumns, p.columns);
    const int64_t width = columns.end - columns.begin;
    const int64_t length = p.cu[sequence + 1] - p.cu[sequence];
    float* y = p.y + sequence * p.columns + columns.begin;
    const float* x = p.x + p.cu[sequence] * p.columns + columns.begin;
    if (length <= 0) {
      zero_row(y, width);
    } else if (p.mode == PoolMode::cls) {
      copy_row(y, x, width);
    } else {
      mean_rows(y, x, length, p.columns, width);
    }
  });
}

const char* check_pool_backward(const Call& call) {
  if (call[0].rank != 2) return "dx must be [T, C]";
  if (call[1].rank != 2 || call[1].shape[1] != call[0].shape[1]) return "dy must be [B, C] with the columns of dx";
  if (!is_vector(call[2], call[1].shape[0] + 1)) return "cu must be [B + 1], one more than the rows of dy";
  return check_mode(call);
}

int64_t scratch_pool_backward(const Call&) { return 0; }

void run_pool_backward(const Call& call) {
  const PoolBackwardCall p(call);
  if (p.sequences < 1) return;
  call.pool->parallel_for(chunk_count(p.tokens, kRows), [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kRows, p.tokens);
    int64_t sequence = sequence_of(p.cu, p.sequences, range.begin);
    for (int64_t t = range.begin; t < range.end; ++t) {
      while (sequence + 1 < p.sequences && t >= p.cu[sequence + 1]) ++sequence;
      float* dx = p.dx + t * p.columns;
      const float* dy = p.dy + sequence * p.columns;
      if (p.mode == PoolMode::mean) {
        share_row(dx, dy, p.cu[sequence + 1] - p.cu[sequence], p.columns);
      } else if (t == p.cu[sequence]) {
        copy_row(dx, dy, p.columns);
      } else {
        zero_row(dx, p.columns);
      }
    }
  });
}

}  // namespace oa::OA_ISA
