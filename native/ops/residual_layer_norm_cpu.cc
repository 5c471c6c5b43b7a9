#include "ops/residual_layer_norm.h"

#include "cpu/philox.h"
#include "ops/check.h"
#include "ops/column_sums.h"
#include "ops/layer_norm_rows.h"

namespace oa::OA_ISA {

const char* check_residual_layer_norm(const Call& call) {
  const Operand& y = call[0];
  if (y.rank != 2 || y.shape[1] < 1) return "y must be [R, C]";
  if (!absent_or_matrix(call[1], y.shape[0], y.shape[1])) return "xhat must have the shape of y";
  if (!absent_or_vector(call[2], y.shape[0])) return "rstd must be [R], one for every row of y";
  if (!is_matrix(call[3], y.shape[0], y.shape[1])) return "x must have the shape of y";
  if (!is_matrix(call[4], y.shape[0], y.shape[1])) return "residual must have the shape of y";
  if (!is_vector(call[5], y.shape[1])) return "gamma must be [C], one for every column of y";
  if (!is_vector(call[6], y.shape[1])) return "beta must be [C], one for every column of y";
  if (!is_epsilon(call.attribute_f32(0))) return "epsilon must be at least 0 and less than 1";
  if (!is_dropout(call.attribute_f32(1))) return "dropout must be at least 0 and less than 1";
  return nullptr;
}

int64_t scratch_residual_layer_norm(const Call&) { return 0; }

namespace {

template <bool kDropout>
void forward(const ResidualLayerNormCall& ln, const DropoutStream& stream, ThreadPool& pool) {
  const LayerNormRows norm{ln.y, ln.xhat, ln.rstd, ln.gamma, ln.beta, ln.columns, ln.epsilon};
  const auto source = [&](int64_t row, int64_t c, int lanes) OA_INLINE_BODY {
    const int64_t at = row * ln.columns + c;
    Vec x = load_lanes(ln.x + at, lanes);
    if constexpr (kDropout) x *= stream.mask(at);
    return x + load_lanes(ln.residual + at, lanes);
  };
  const int64_t size = chunk_rows(ln.rows);
  pool.parallel_for(chunk_count(ln.rows, size), [&](int64_t chunk, int) {
    const ChunkRange rows = chunk_range(chunk, size, ln.rows);
    normalize_block(norm, rows.begin, rows.end, source);
  });
}

}  // namespace

void run_residual_layer_norm(const Call& call) {
  const ResidualLayerNormCall ln(call);
  const DropoutStream stream(ln.dropout, ln.rng, *call.scalars, 0);
  if (ln.dropout > 0.0f) {
    forward<true>(ln, stream, *call.pool);
  } else {
    forward<false>(ln, stream, *call.pool);
  }
}

// ---- backward ----

const char* check_residual_layer_norm_backward(const Call& call) {
  const Operand& dy = call[4];
  if (dy.rank != 2 || dy.shape[1] < 1) return "dy must be [R, C]";
  if (!absent_or_matrix(call[0], dy.shape[0], dy.shape[1])) return "dx must have the shape of dy";
  if (!absent_or_matrix(call[1], dy.shape[0], dy.shape[1])) return "d_residual must have the shape of dy";
  if (!absent_or_vector(call[2], dy.shape[1])) return "d_gamma must be [C], one for every column of dy";
  if (!absent_or_vector(call[3], dy.shape[1])) return "d_beta must be [C], one for every column of dy";
  if (!is_matrix(call[5], dy.shape[0], dy.shape[1])) return "xhat must have the shape of dy";
  if (!is_vector(call[6], dy.shape[0])) return "rstd must be [R], one for every row of dy";
  if (!is_vector(call[7], dy.shape[1])) return "gamma must be [C], one for every column of dy";
  if (!is_dropout(call.attribute_f32(0))) return "dropout must be at least 0 and less than 1";
  return nullptr;
}

int64_t scratch_residual_layer_norm_backward(const Call& call) {
  return AffineSlots(call[2] || call[3], call[4].shape[0], call[4].shape[1], nullptr).bytes;
}

namespace {

template <bool kDropout>
void backward(const ResidualLayerNormBackwardCall& ln, const AffineSlots& slots, const DropoutStream& stream,
              ThreadPool& pool) {
  const auto sink = [&](int64_t row, int64_t c, int lanes, Vec ds) OA_INLINE_BODY {
    const int64_t at = row * ln.columns + c;
    if (ln.d_residual) store_lanes(ln.d_residual + at, ds, lanes);
    if constexpr (kDropout) ds *= stream.mask(at);
    if (ln.dx) store_lanes(ln.dx + at, ds, lanes);
  };
  const int64_t size = chunk_rows(ln.rows);
  pool.parallel_for(chunk_count(ln.rows, size), [&](int64_t chunk, int) {
    const ChunkRange rows = chunk_range(chunk, size, ln.rows);
    const LayerNormGradientRows norm{
        ln.dy, ln.xhat, ln.rstd, ln.gamma, slots.cleared(chunk), slots.width, ln.dx || ln.d_residual, ln.columns};
    layer_norm_gradient_block(norm, rows.begin, rows.end, sink);
  });
}

}  // namespace

void run_residual_layer_norm_backward(const Call& call) {
  const ResidualLayerNormBackwardCall ln(call);
  const AffineSlots slots(ln.d_gamma || ln.d_beta, ln.rows, ln.columns, call.scratch);
  const DropoutStream stream(ln.dropout, ln.rng, *call.scalars, 0);
  // The mask costs as much as the rest; without dx nobody needs it.
  if (ln.dropout > 0.0f && ln.dx) {
    backward<true>(ln, slots, stream, *call.pool);
  } else {
    backward<false>(ln, slots, stream, *call.pool);
  }
  slots.add(*call.pool, ln.d_gamma, ln.d_beta);
}

}  // namespace oa::OA_ISA
