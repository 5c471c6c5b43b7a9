// Dropout, residual sum and LayerNorm in one pass, see cuda/layer_norm.cuh: a warp or a block owns a row forward, a
// block a chunk of rows backward.
//   s = dropout(x) + residual;  y = xhat∘gamma + beta;  xhat and rstd saved where asked for
//   d_residual = ds, dx = ds∘mask / (1 - p), d_gamma, d_beta: written whole with `=`; the mask is made again
// x is f32 always: what a LayerNorm adds up is rounded once, behind it.
// Traffic in bytes a row of C, in f32: forward 12·C, with xhat 16·C; backward 16·C, and 16·C·chunks / R of slots.
#define OA_ISA cuda
#include "ops/residual_layer_norm.h"

#include "ops/layer_norm.cuh"

namespace oa::cuda {

namespace {

template <bool kDropout, class S>
struct ResidualRows {
  const float* x;
  const S* residual;
  int columns;
  Dropout dropout;

  template <bool kWhole>
  struct Reader {
    __device__ __forceinline__ explicit Reader(const ResidualRows& rows_)
        : rows(rows_), mask(rows_.dropout, rows_.columns) {}
    __device__ __forceinline__ float4 operator()(int64_t row, int column) const {
      const int columns = rows.columns;
      const float4 x = load_quad<kWhole>(rows.x + row * columns, column, columns);
      const float4 residual = load_quad<kWhole>(rows.residual + row * columns, column, columns);
      return add(mask.template apply<kWhole>(x, row, column), residual);
    }
    const ResidualRows& rows;
    QuadMask<kDropout> mask;
  };
};

template <bool kDropout, class S>
struct ResidualSink {
  S* dx;
  S* d_residual;
  int columns;
  Dropout dropout;

  template <bool kWhole>
  struct Writer {
    __device__ __forceinline__ explicit Writer(const ResidualSink& sink_)
        : sink(sink_), mask(sink_.dropout, sink_.columns) {}
    __device__ __forceinline__ void operator()(int64_t row, int column, float4 ds) const {
      const int columns = sink.columns;
      if (sink.d_residual) store_quad<kWhole>(sink.d_residual + row * columns, column, columns, ds);
      if (!sink.dx) return;
      store_quad<kWhole>(sink.dx + row * columns, column, columns, mask.template apply<kWhole>(ds, row, column));
    }
    const ResidualSink& sink;
    QuadMask<kDropout> mask;
  };
};

template <bool kDropout, class S>
void forward(const Call& call) {
  const ResidualLayerNormCall ln(call);
  const int columns = static_cast<int>(ln.columns);
  const Normalization<S> norm{as<S>(ln.y), as<S>(ln.xhat), ln.rstd, ln.gamma, ln.beta, ln.rows, columns, ln.epsilon};
  normalize(*call.stream, "residual_layer_norm", norm,
            ResidualRows<kDropout, S>{ln.x, as<S>(ln.residual), columns, {ln.dropout, ln.rng, call.scalars}},
            is_whole(ln.columns, {ln.y, ln.xhat, ln.x, ln.residual}));
}

ColumnSlots slots_of(const ResidualLayerNormBackwardCall& ln, Scratch& scratch) {
  return ln.d_gamma || ln.d_beta ? ColumnSlots(scratch, ln.rows, ln.columns, 2) : ColumnSlots();
}

template <bool kDropout, class S>
void backward(const Call& call) {
  const char* const name = "residual_layer_norm_backward";
  const ResidualLayerNormBackwardCall ln(call);
  const int columns = static_cast<int>(ln.columns);
  Scratch scratch(call.scratch);
  const ColumnSlots slots = slots_of(ln, scratch);
  const NormalizationGradient<S> norm{as<S>(ln.dy), as<S>(ln.xhat),        ln.rstd, ln.gamma, ln.rows,
                                      columns,      ln.dx || ln.d_residual};
  normalization_gradient<2>(
      *call.stream, name, norm,
      ResidualSink<kDropout, S>{as<S>(ln.dx), as<S>(ln.d_residual), columns, {ln.dropout, ln.rng, call.scalars}}, slots,
      is_whole(ln.columns, {ln.dx, ln.d_residual, ln.dy, ln.xhat}));
  if (slots.sums > 0) add_slots(*call.stream, name, {{ln.d_gamma, ln.d_beta, nullptr}}, slots, ln.columns);
}

}  // namespace

int64_t scratch_residual_layer_norm(const Call&) { return 0; }

void run_residual_layer_norm(const Call& call) {
  with_storage(call[0].dtype, [&](auto stored) {
    if (ResidualLayerNormCall(call).dropout > 0.0f) return forward<true, decltype(stored)>(call);
    forward<false, decltype(stored)>(call);
  });
}

int64_t scratch_residual_layer_norm_backward(const Call& call) {
  Scratch scratch(nullptr);
  slots_of(ResidualLayerNormBackwardCall(call), scratch);
  return scratch.bytes();
}

void run_residual_layer_norm_backward(const Call& call) {
  const ResidualLayerNormBackwardCall ln(call);
  // The mask costs as much as the rest; without dx nobody needs it.
  with_storage(call[4].dtype, [&](auto stored) {
    if (ln.dropout > 0.0f && ln.dx) return backward<true, decltype(stored)>(call);
    backward<false, decltype(stored)>(call);
  });
}

}  // namespace oa::cuda
