#include "ops/layer_norm.h"

#include "ops/check.h"
#include "ops/column_sums.h"
#include "ops/layer_norm_rows.h"

namespace oa::OA_ISA {

const char* check_layer_norm(const Call& call) {
  const Operand& y = call[0];
  if (y.rank != 2 || y.shape[1] < 1) return "y must be [R, C]";
  if (!absent_or_matrix(call[1], y.shape[0], y.shape[1])) return "xhat must have the shape of y";
  if (!absent_or_vector(call[2], y.shape[0])) return "rstd must be [R], one for every row of y";
  if (!is_matrix(call[3], y.shape[0], y.shape[1])) return "x must have the shape of y";
  if (!is_vector(call[4], y.shape[1])) return "gamma must be [C], one for every column of y";
  if (!is_vector(call[5], y.shape[1])) return "beta must be [C], one for every column of y";
  if (!is_epsilon(call.attribute_f32(0))) return "epsilon must be at least 0 and less than 1";
  return nullptr;
}

int64_t scratch_layer_norm(const Call&) { return 0; }

void run_layer_norm(const Call& call) {
  const LayerNormCall ln(call);
  const LayerNormRows norm{ln.y, ln.xhat, ln.rstd, ln.gamma, ln.beta, ln.columns, ln.epsilon};
  const auto source = [&](int64_t row, int64_t c, int lanes)
                          OA_INLINE_BODY { return load_lanes(ln.x + row * ln.columns + c, lanes); };
  const int64_t size = chunk_rows(ln.rows);
  call.pool->parallel_for(chunk_count(ln.rows, size), [&](int64_t chunk, int) {
    const ChunkRange rows = chunk_range(chunk, size, ln.rows);
    normalize_block(norm, rows.begin, rows.end, source);
  });
}

// ---- backward ----

const char* check_layer_norm_backward(const Call& call) {
  const Operand& dy = call[3];
  if (dy.rank != 2 || dy.shape[1] < 1) return "dy must be [R, C]";
  if (!absent_or_matrix(call[0], dy.shape[0], dy.shape[1])) return "dx must have the shape of dy";
  if (!absent_or_vector(call[1], dy.shape[1])) return "d_gamma must be [C], one for every column of dy";
  if (!absent_or_vector(call[2], dy.shape[1])) return "d_beta must be [C], one for every column of dy";
  if (!is_matrix(call[4], dy.shape[0], dy.shape[1])) return "xhat must have the shape of dy";
  if (!is_vector(call[5], dy.shape[0])) return "rstd must be [R], one for every row of dy";
  if (!is_vector(call[6], dy.shape[1])) return "gamma must be [C], one for every column of dy";
  return nullptr;
}

int64_t scratch_layer_norm_backward(const Call& call) {
  return AffineSlots(call[1] || call[2], call[3].shape[0], call[3].shape[1], nullptr).bytes;
}

void run_layer_norm_backward(const Call& call) {
  const LayerNormBackwardCall ln(call);
  const AffineSlots slots(ln.d_gamma || ln.d_beta, ln.rows, ln.columns, call.scratch);
  const auto sink = [&](int64_t row, int64_t c, int lanes, Vec ds)
                        OA_INLINE_BODY { store_lanes(ln.dx + row * ln.columns + c, ds, lanes); };
  const int64_t size = chunk_rows(ln.rows);
  call.pool->parallel_for(chunk_count(ln.rows, size), [&](int64_t chunk, int) {
    const ChunkRange rows = chunk_range(chunk, size, ln.rows);
    const LayerNormGradientRows norm{ln.dy,       ln.xhat,          ln.rstd,   ln.gamma, slots.cleared(chunk),
                                     slots.width, ln.dx != nullptr, ln.columns};
    layer_norm_gradient_block(norm, rows.begin, rows.end, sink);
  });
  slots.add(*call.pool, ln.d_gamma, ln.d_beta);
}

}  // namespace oa::OA_ISA
