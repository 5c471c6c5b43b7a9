// LayerNorm, see cuda/layer_norm.cuh: a warp or a block owns a row forward, a block a chunk of rows backward.
//   y = xhat∘gamma + beta;  xhat and rstd saved where asked for
//   dx, d_gamma and d_beta written whole with `=`
// Traffic in bytes a row of C, in f32 (half of it in bf16): forward 8·C, with xhat 12·C; backward 12·C, and 16·C·chunks
// / R of slots.
#define OA_ISA cuda
#include "ops/layer_norm.h"

#include "ops/layer_norm.cuh"

namespace oa::cuda {

namespace {

template <class S>
struct Rows {
  const S* x;
  int columns;

  template <bool kWhole>
  struct Reader {
    __device__ __forceinline__ explicit Reader(const Rows& rows_) : rows(rows_) {}
    __device__ __forceinline__ float4 operator()(int64_t row, int column) const {
      return load_quad<kWhole>(rows.x + row * rows.columns, column, rows.columns);
    }
    const Rows& rows;
  };
};

ColumnSlots slots_of(const LayerNormBackwardCall& ln, Scratch& scratch) {
  return ln.d_gamma || ln.d_beta ? ColumnSlots(scratch, ln.rows, ln.columns, 2) : ColumnSlots();
}

}  // namespace

int64_t scratch_layer_norm(const Call&) { return 0; }

void run_layer_norm(const Call& call) {
  const LayerNormCall ln(call);
  const int columns = static_cast<int>(ln.columns);
  with_storage(call[0].dtype, [&](auto stored) {
    using S = decltype(stored);
    const Normalization<S> norm{as<S>(ln.y), as<S>(ln.xhat), ln.rstd, ln.gamma, ln.beta, ln.rows, columns, ln.epsilon};
    normalize(*call.stream, "layer_norm", norm, Rows<S>{as<S>(ln.x), columns},
              is_whole(ln.columns, {ln.y, ln.xhat, ln.x}));
  });
}

int64_t scratch_layer_norm_backward(const Call& call) {
  Scratch scratch(nullptr);
  slots_of(LayerNormBackwardCall(call), scratch);
  return scratch.bytes();
}

void run_layer_norm_backward(const Call& call) {
  const LayerNormBackwardCall ln(call);
  const int columns = static_cast<int>(ln.columns);
  Scratch scratch(call.scratch);
  const ColumnSlots slots = slots_of(ln, scratch);
  with_storage(call[3].dtype, [&](auto stored) {
    using S = decltype(stored);
    const NormalizationGradient<S> norm{as<S>(ln.dy), as<S>(ln.xhat), ln.rstd,         ln.gamma,
                                        ln.rows,      columns,        ln.dx != nullptr};
    normalization_gradient<2>(*call.stream, "layer_norm_backward", norm, GradientSink<S>{as<S>(ln.dx), columns}, slots,
                              is_whole(ln.columns, {ln.dx, ln.dy, ln.xhat}));
  });
  if (slots.sums > 0)
    add_slots(*call.stream, "layer_norm_backward", {{ln.d_gamma, ln.d_beta, nullptr}}, slots, ln.columns);
}

}  // namespace oa::cuda
