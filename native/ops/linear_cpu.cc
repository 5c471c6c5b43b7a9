#include "ops/linear.h"

#include "cpu/gemm/gemm.h"
#include "ops/check.h"
#include "ops/column_sums.h"
#include "ops/scratch.h"

namespace oa::OA_ISA {

const char* check_linear(const Call& call) {
  const Operand& y = call[0];
  const Operand& x = call[2];
  const Operand& w = call[3];
  if (y.rank != 2) return "y must be [R, N]";
  if (x.rank != 2 || x.shape[0] != y.shape[0]) return "x must be [R, K] with the rows of y";
  if (!is_matrix(w, y.shape[1], x.shape[1])) return "w must be [N, K] with the columns of y and of x";
  if (w.form == Form::packed_transposed) return "w must be raw or packed, not packed_transposed";
  if (!absent_or_vector(call[4], y.shape[1])) return "b must be [N], one for every column of y";
  if (!absent_or_matrix(call[1], y.shape[0], y.shape[1])) return "derivative must have the shape of y";
  if (!is_activation(call.attribute_i32(0))) return "activation is not one of the known numbers";
  return nullptr;
}

namespace {

// w as panels: its own memory when it was packed at load time, else packed into scratch.
const float* panels(ThreadPool& pool, char* scratch, const float* w, bool packed, int64_t n, int64_t k,
                    int64_t stride_n, int64_t stride_k) {
  if (packed) return w;
  float* to = Scratch(scratch).floats(packed_floats(n, k));
  pack(&pool, to, w, n, k, stride_n, stride_k);
  return to;
}

int64_t panel_bytes(bool packed, int64_t n, int64_t k) {
  Scratch scratch(nullptr);
  if (!packed) scratch.floats(packed_floats(n, k));
  return scratch.bytes();
}

}  // namespace

int64_t scratch_linear(const Call& call) {
  const LinearCall l(call);
  return panel_bytes(l.packed, l.columns, l.depth);
}

void run_linear(const Call& call) {
  const LinearCall l(call);
  if (l.rows == 0) return;
  const float* w = panels(*call.pool, call.scratch, l.w, l.packed, l.columns, l.depth, l.depth, 1);
  Epilogue epilogue;
  epilogue.bias = l.b;
  epilogue.activation = l.activation;
  epilogue.derivative = l.derivative;
  gemm_packed(*call.pool, l.y, l.columns, l.x, l.depth, w, l.rows, l.columns, l.depth, epilogue);
}

// ---- gradient of the input ----

const char* check_linear_dx(const Call& call) {
  const Operand& dx = call[0];
  const Operand& dy = call[1];
  const Operand& w = call[2];
  const int32_t epilogue = call.attribute_i32(0);
  if (dx.rank != 2) return "dx must be [R, K]";
  if (dy.rank != 2 || dy.shape[0] != dx.shape[0]) return "dy must be [R, N] with the rows of dx";
  if (!is_matrix(w, dy.shape[1], dx.shape[1])) return "w must be [N, K] with the columns of dy and of dx";
  if (w.form == Form::packed) return "w must be raw or packed_transposed, not packed";
  if (epilogue < 0 || epilogue > 2) return "epilogue must be 0, 1 or 2";
  if (epilogue != 0 && !is_matrix(call[3], dx.shape[0], dx.shape[1])) return "other must have the shape of dx";
  return nullptr;
}

int64_t scratch_linear_dx(const Call& call) {
  const LinearDxCall l(call);
  return panel_bytes(l.packed, l.columns, l.depth);
}

void run_linear_dx(const Call& call) {
  const LinearDxCall l(call);
  if (l.rows == 0) return;
  const float* w = panels(*call.pool, call.scratch, l.w, l.packed, l.columns, l.depth, 1, l.columns);
  Epilogue epilogue;
  if (l.epilogue == LinearDxEpilogue::mul) epilogue.mul = l.other;
  if (l.epilogue == LinearDxEpilogue::add) epilogue.add = l.other;
  gemm_packed(*call.pool, l.dx, l.columns, l.dy, l.depth, w, l.rows, l.columns, l.depth, epilogue);
}

// ---- gradients of the weights ----

const char* check_linear_dw(const Call& call) {
  const Operand& dy = call[2];
  const Operand& x = call[3];
  if (dy.rank != 2) return "dy must be [R, N]";
  if (x && (x.rank != 2 || x.shape[0] != dy.shape[0])) return "x must be [R, K] with the rows of dy";
  if (call[0] && !x) return "x must be given when dw is asked for";
  if (call[0] && !is_matrix(call[0], dy.shape[1], x.shape[1])) {
    return "dw must be [N, K] with the columns of dy and of x";
  }
  if (!absent_or_vector(call[1], dy.shape[1])) return "db must be [N], one for every column of dy";
  return nullptr;
}

int64_t scratch_linear_dw(const Call& call) {
  const LinearDwCall l(call);
  Scratch scratch(nullptr);
  if (l.db) scratch.floats(slot_count(l.rows) * align_floats(l.columns));
  return scratch.bytes();
}

void run_linear_dw(const Call& call) {
  const LinearDwCall l(call);
  if (l.dw) gemm_weight_gradient(*call.pool, l.dw, l.dy, l.columns, l.x, l.depth, l.rows, l.columns, l.depth);
  if (!l.db) return;
  const int64_t stride = align_floats(l.columns);
  float* slots = Scratch(call.scratch).floats(slot_count(l.rows) * stride);
  const int64_t size = chunk_rows(l.rows);
  const int64_t chunks = chunk_count(l.rows, size);
  call.pool->parallel_for(chunks, [&](int64_t chunk, int) {
    const ChunkRange rows = chunk_range(chunk, size, l.rows);
    sum_rows_to(slots + chunk * stride, l.dy + rows.begin * l.columns, l.columns, rows.end - rows.begin, l.columns,
                false);
  });
  add_slots(*call.pool, l.db, slots, stride, chunks, l.columns);
}

}  // namespace oa::OA_ISA
