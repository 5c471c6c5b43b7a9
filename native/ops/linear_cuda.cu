// Linear layer: products by cuBLASLt, then one own kernel where something is left to do. A weight is plain rows
// whatever its form: panels are a matter of CPUs.
//   y  = activation(x·wᵀ + b), derivative = activation'(x·wᵀ + b): in place over the product, a thread owns quads
//   dx = dy·w, then ∘ other or + other, in place, a thread owns an element
//   dw = dyᵀ·x;  db = Σ rows of dy by column_sums.cuh: a block owns a chunk of rows
// All written whole with `=`. Traffic in bytes besides the products': forward 8·R·N, with the derivative 12·R·N;
// linear_dx 12·R·K with an epilogue; db 4·R·N.
#define OA_ISA cuda
#include "ops/linear.h"

#include "cuda/activations.cuh"
#include "cuda/column_sums.cuh"
#include "cuda/elementwise.cuh"
#include "ops/scratch.h"

namespace oa::cuda {

namespace {

// y = activation(y + b) and, where asked for, derivative = activation'(y + b). b may be absent.
template <bool kWhole>
__global__ void linear_epilogue_kernel(float* y, float* derivative, const float* b, int activation, int64_t rows,
                                       int columns) {
  const QuadTile tile(rows);
  if (tile.column >= columns) return;
  const float4 bias = b ? load_quad_anywhere<kWhole>(b, tile.column, columns) : float4{};
  for (int64_t row = tile.begin; row < tile.end; row += kTileWarps) {
    const float4 u = add(load_quad<kWhole>(y + row * columns, tile.column, columns), bias);
    const Activated all[] = {activate(activation, u.x), activate(activation, u.y), activate(activation, u.z),
                             activate(activation, u.w)};
    store_quad<kWhole>(y + row * columns, tile.column, columns, {all[0].y, all[1].y, all[2].y, all[3].y});
    if (!derivative) continue;
    store_quad<kWhole>(derivative + row * columns, tile.column, columns,
                       {all[0].derivative, all[1].derivative, all[2].derivative, all[3].derivative});
  }
}

struct MatrixRows {
  const float* x;
  int columns;

  template <bool kWhole>
  __device__ __forceinline__ float4 quad(int64_t row, int column) const {
    return load_quad<kWhole>(x + row * columns, column, columns);
  }
};

ColumnSlots slots_of(const LinearDwCall& l, Scratch& scratch) {
  return l.db ? ColumnSlots(scratch, l.rows, l.columns, 1) : ColumnSlots();
}

}  // namespace

int64_t scratch_linear(const Call&) { return 0; }

void run_linear(const Call& call) {
  const LinearCall l(call);
  Product product{l.y, l.x, l.w, l.rows, l.columns, l.depth};
  product.transpose_b = true;
  call.stream->multiply(product);
  if (!l.b && !l.derivative && l.activation == activation_none) return;
  const bool whole = is_whole(l.columns, {l.y, l.derivative});
  launch(*call.stream, quad_tiles("linear", l.rows, l.columns),
         whole ? linear_epilogue_kernel<true> : linear_epilogue_kernel<false>, l.y, l.derivative, l.b, l.activation,
         l.rows, static_cast<int>(l.columns));
}

int64_t scratch_linear_dx(const Call&) { return 0; }

void run_linear_dx(const Call& call) {
  const LinearDxCall l(call);
  call.stream->multiply({l.dx, l.dy, l.w, l.rows, l.columns, l.depth});
  const int64_t n = l.rows * l.columns;
  if (l.epilogue == LinearDxEpilogue::mul) map_elements(*call.stream, "linear_dx", l.dx, n, Times{}, l.dx, l.other);
  if (l.epilogue == LinearDxEpilogue::add) map_elements(*call.stream, "linear_dx", l.dx, n, Sum{}, l.dx, l.other);
}

int64_t scratch_linear_dw(const Call& call) {
  Scratch scratch(nullptr);
  slots_of(LinearDwCall(call), scratch);
  return scratch.bytes();
}

void run_linear_dw(const Call& call) {
  const LinearDwCall l(call);
  if (l.dw) {
    Product product{l.dw, l.dy, l.x, l.columns, l.depth, l.rows};
    product.transpose_a = true;
    call.stream->multiply(product);
  }
  if (!l.db) return;
  Scratch scratch(call.scratch);
  const ColumnSlots slots = slots_of(l, scratch);
  sum_columns_to_slots(*call.stream, "linear_dw", MatrixRows{l.dy, static_cast<int>(l.columns)}, slots, l.rows,
                       l.columns, is_whole(l.columns, {l.dy}));
  add_slots(*call.stream, "linear_dw", {{l.db, nullptr, nullptr}}, slots, l.columns);
}

}  // namespace oa::cuda
