// Linear layer: products by cuBLASLt, then one own kernel where something is left to do. A weight is plain rows
// whatever its form: panels are a matter of CPUs.
//   y  = activation(x·wᵀ + b), derivative = activation'(x·wᵀ + b): in place over the product, a thread owns quads
//   dx = dy·w, then ∘ other or + other, in place, a thread owns an element
//   dw = dyᵀ·x;  db = Σ rows of dy by column_sums.cuh: a block owns a chunk of rows
// All written whole with `=`. y is f32 or bf16 by itself: what a LayerNorm adds up and logits stay f32 where x and w
// are bf16. A y in bf16 is rounded behind the product and again behind the epilogue. Traffic in bytes, in f32, besides
// the products': forward 8·R·N, with the derivative 12·R·N; linear_dx 12·R·K with an epilogue; db 4·R·N.
#define OA_ISA cuda
#include "ops/linear.h"

#include "cuda/activations.cuh"
#include "cuda/elementwise.cuh"
#include "ops/column_sums.cuh"

namespace oa::cuda {

namespace {

// y = activation(y + b) and, where asked for, derivative = activation'(y + b). b may be absent.
template <bool kWhole, class Y, class S>
__global__ void linear_epilogue_kernel(Y* y, S* derivative, const float* b, int activation, int64_t rows, int columns) {
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

template <class S>
struct MatrixRows {
  const S* x;
  int columns;

  template <bool kWhole>
  __device__ __forceinline__ float4 quad(int64_t row, int column) const {
    return load_quad<kWhole>(x + row * columns, column, columns);
  }
};

// Operands of a product are of one type. What comes as f32 (gradients of logits) beside operands in bf16 is rounded
// into scratch; it is small.
class Narrowed {
 public:
  Narrowed(const Operand& operand, DType other, Scratch& scratch)
      : operand_(operand), copies_(operand.dtype == DType::f32 && other == DType::bf16) {
    if (copies_) copy_ = reinterpret_cast<Bf16*>(scratch.floats((operand.size() + 1) / 2));
  }

  Typed<const void*> get(Stream& stream, const char* name) const {
    if (operand_.dtype == DType::bf16) return static_cast<const Bf16*>(operand_.data);
    const auto* const values = static_cast<const float*>(operand_.data);
    if (!copies_) return values;
    map_elements(stream, name, copy_, operand_.size(), Same{}, values);
    return static_cast<const Bf16*>(copy_);
  }

 private:
  const Operand& operand_;
  bool copies_;
  Bf16* copy_ = nullptr;
};

struct DwScratch {
  DwScratch(const Call& call, const LinearDwCall& l, char* base)
      : scratch(base), dy(call[2], l.dw ? call[3].dtype : DType::f32, scratch) {
    if (l.db) slots = ColumnSlots(scratch, l.rows, l.columns, 1);
  }

  Scratch scratch;
  Narrowed dy;
  ColumnSlots slots;
};

}  // namespace

int64_t scratch_linear(const Call&) { return 0; }

void run_linear(const Call& call) {
  const LinearCall l(call);
  const bool whole = is_whole(l.columns, {l.y, l.derivative});
  with_storage(call[2].dtype, [&](auto stored) {
    with_storage(call[0].dtype, [&](auto result) {
      using S = decltype(stored);
      using Y = decltype(result);
      Product product{as<Y>(l.y), as<S>(l.x), as<S>(l.w), l.rows, l.columns, l.depth};
      product.transpose_b = true;
      call.stream->multiply(product);
      if (!l.b && !l.derivative && l.activation == activation_none) return;
      launch(*call.stream, quad_tiles("linear", l.rows, l.columns),
             whole ? linear_epilogue_kernel<true, Y, S> : linear_epilogue_kernel<false, Y, S>, as<Y>(l.y),
             as<S>(l.derivative), l.b, l.activation, l.rows, static_cast<int>(l.columns));
    });
  });
}

int64_t scratch_linear_dx(const Call& call) {
  Scratch scratch(nullptr);
  const Narrowed dy(call[1], call[2].dtype, scratch);
  return scratch.bytes();
}

void run_linear_dx(const Call& call) {
  const LinearDxCall l(call);
  Stream& stream = *call.stream;
  Scratch scratch(call.scratch);
  const Narrowed dy(call[1], call[2].dtype, scratch);
  with_storage(call[0].dtype, [&](auto stored) {
    using S = decltype(stored);
    S* const dx = as<S>(l.dx);
    const Product product{dx, dy.get(stream, "linear_dx"), as<S>(l.w), l.rows, l.columns, l.depth};
    stream.multiply(product);
    const int64_t n = l.rows * l.columns;
    const S* const other = as<S>(l.other);
    if (l.epilogue == LinearDxEpilogue::mul) map_elements<S>(stream, "linear_dx", dx, n, Times{}, dx, other);
    if (l.epilogue == LinearDxEpilogue::add) map_elements<S>(stream, "linear_dx", dx, n, Sum{}, dx, other);
  });
}

int64_t scratch_linear_dw(const Call& call) { return DwScratch(call, LinearDwCall(call), nullptr).scratch.bytes(); }

void run_linear_dw(const Call& call) {
  const LinearDwCall l(call);
  Stream& stream = *call.stream;
  const DwScratch scratch(call, l, call.scratch);
  if (l.dw) {
    with_storage(call[3].dtype, [&](auto stored) {
      Product product{l.dw, scratch.dy.get(stream, "linear_dw"), as<decltype(stored)>(l.x), l.columns, l.depth, l.rows};
      product.transpose_a = true;
      stream.multiply(product);
    });
  }
  if (!l.db) return;
  with_storage(call[2].dtype, [&](auto stored) {
    using S = decltype(stored);
    sum_columns_to_slots(stream, "linear_dw", MatrixRows<S>{as<S>(l.dy), static_cast<int>(l.columns)}, scratch.slots,
                         l.rows, l.columns, is_whole(l.columns, {l.dy}));
  });
  add_slots(stream, "linear_dw", {{l.db, nullptr, nullptr}}, scratch.slots, l.columns);
}

}  // namespace oa::cuda
