// Dropout, residual sum and LayerNorm in one pass, see cuda/layer_norm.cuh: a warp or a block owns a row forward, a
// block a chunk of rows backward.
//   s = dropout(x) + residual;  y = xhat∘gamma + beta;  xhat and rstd saved where asked for
//   d_residual = ds, dx = ds∘mask / (1 - p), d_gamma, d_beta: written whole with `=`; the mask is made again
// Traffic in bytes a row of C: forward 12·C, with xhat 16·C; backward 16·C, and 16·C·chunks / R of slots.
#define OA_ISA cuda
#include "ops/residual_layer_norm.h"

#include "cuda/layer_norm.cuh"
#include "ops/scratch.h"

namespace oa::cuda {

namespace {

template <bool kDropout>
struct ResidualRows {
  const float* x;
  const float* residual;
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

template <bool kDropout>
struct ResidualSink {
  float* dx;
  float* d_residual;
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

template <bool kDropout>
void forward(const Call& call) {
  const ResidualLayerNormCall ln(call);
  const int columns = static_cast<int>(ln.columns);
  normalize(*call.stream, "residual_layer_norm",
            {ln.y, ln.xhat, ln.rstd, ln.gamma, ln.beta, ln.rows, columns, ln.epsilon},
            ResidualRows<kDropout>{ln.x, ln.residual, columns, {ln.dropout, ln.rng, call.scalars}},
            is_whole(ln.columns, {ln.y, ln.xhat, ln.x, ln.residual}));
}

ColumnSlots slots_of(const ResidualLayerNormBackwardCall& ln, Scratch& scratch) {
  return ln.d_gamma || ln.d_beta ? ColumnSlots(scratch, ln.rows, ln.columns, 2) : ColumnSlots();
}

template <bool kDropout>
void backward(const Call& call) {
  const char* const name = "residual_layer_norm_backward";
  const ResidualLayerNormBackwardCall ln(call);
  const int columns = static_cast<int>(ln.columns);
  Scratch scratch(call.scratch);
  const ColumnSlots slots = slots_of(ln, scratch);
  normalization_gradient<2>(*call.stream, name,
                            {ln.dy, ln.xhat, ln.rstd, ln.gamma, ln.rows, columns, ln.dx || ln.d_residual},
                            ResidualSink<kDropout>{ln.dx, ln.d_residual, columns, {ln.dropout, ln.rng, call.scalars}},
                            slots, is_whole(ln.columns, {ln.dx, ln.d_residual, ln.dy, ln.xhat}));
  if (slots.sums > 0) add_slots(*call.stream, name, {{ln.d_gamma, ln.d_beta, nullptr}}, slots, ln.columns);
}

}  // namespace

int64_t scratch_residual_layer_norm(const Call&) { return 0; }

void run_residual_layer_norm(const Call& call) {
  if (ResidualLayerNormCall(call).dropout > 0.0f) {
    forward<true>(call);
  } else {
    forward<false>(call);
  }
}

int64_t scratch_residual_layer_norm_backward(const Call& call) {
  Scratch scratch(nullptr);
  slots_of(ResidualLayerNormBackwardCall(call), scratch);
  return scratch.bytes();
}

void run_residual_layer_norm_backward(const Call& call) {
  const ResidualLayerNormBackwardCall ln(call);
  // The mask costs as much as the rest; without dx nobody needs it.
  if (ln.dropout > 0.0f && ln.dx) {
    backward<true>(call);
  } else {
    backward<false>(call);
  }
}

}  // namespace oa::cuda
