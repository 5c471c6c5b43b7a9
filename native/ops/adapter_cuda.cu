// Bottleneck adapter with the residual sum and the LayerNorm that follow it, all in f32. Forward where is_fused(): one
// kernel, ops/adapter_forward.cuh. Elsewhere and backward: products by cuBLASLt, and between them kernels that take
// each element once.
//   forward   a = dropout(x)                                        a thread owns quads; nothing where p = 0
//             z = a·down_wᵀ                                         product
//             z += down_b, h = activation(z)                        a thread owns quads
//             y = h·up_wᵀ                                           product
//             y = LayerNorm(y + up_b + a + residual), xhat, rstd    a warp or a block owns a row (layer_norm.cuh)
//   backward  ds and Σ of dy∘xhat, dy, ds                           a block owns a chunk of rows
//             dz = ds·up_w                                          product
//             dz = dz∘activation'(z), h = activation(z), Σ dz       a block owns a chunk of rows
//             dx = dz·down_w                                        product
//             dx = (dx + ds)∘mask, a = x∘mask                       a thread owns quads
//             d_down_w = dzᵀ·a, d_up_w = dsᵀ·h                      products
// Everything is written whole with `=`; backward does what the asked outputs need, no more. a is made again rather
// than kept from the forward pass: it costs 8 bytes an element either way, and no memory between the passes.
// Traffic in bytes a row of C, without the products': forward 16·C, with xhat 20·C, with dropout 8·C more; backward
// 12·C for ds and sums, 12·C for dx, 8·C for a. The bottleneck's are small beside them.
#define OA_ISA cuda
#include "ops/adapter.h"

#include "cuda/activations.cuh"
#include "ops/adapter_forward.cuh"
#include "ops/layer_norm.cuh"

namespace oa::cuda {

namespace {

// --- forward ---

// a = x∘mask
template <bool kWhole>
__global__ void adapter_dropout_kernel(float* a, const float* x, Dropout dropout, int64_t rows, int columns) {
  const QuadTile tile(rows);
  if (tile.column >= columns) return;
  const QuadMask<true> mask(dropout, columns);
  for (int64_t row = tile.begin; row < tile.end; row += kTileWarps) {
    const float4 quad = load_quad<kWhole>(x + row * columns, tile.column, columns);
    store_quad<kWhole>(a + row * columns, tile.column, columns, mask.apply<kWhole>(quad, row, tile.column));
  }
}

// z += bias and hidden = activation(z), rows of M. z null: the product lies in hidden, and only hidden is left.
template <bool kWhole>
__global__ void adapter_hidden_kernel(float* hidden, float* z, const float* bias, int activation, int64_t rows,
                                      int columns) {
  const QuadTile tile(rows);
  if (tile.column >= columns) return;
  const float4 shift = load_quad_anywhere<kWhole>(bias, tile.column, columns);
  const float* const product = z ? z : hidden;
  for (int64_t row = tile.begin; row < tile.end; row += kTileWarps) {
    const int64_t at = row * columns;
    const float4 u = add(load_quad<kWhole>(product + at, tile.column, columns), shift);
    if (z) store_quad<kWhole>(z + at, tile.column, columns, u);
    store_quad<kWhole>(hidden + at, tile.column, columns,
                       each([&](float value) { return activate(activation, value).y; }, u));
  }
}

// s = up + up_b + a + residual
struct AdapterRows {
  const float* up;  // h·up_wᵀ, where y will be
  const float* up_b;
  const float* a;
  const float* residual;
  int columns;

  template <bool kWhole>
  struct Reader {
    __device__ __forceinline__ explicit Reader(const AdapterRows& rows_) : rows(rows_) {}
    __device__ __forceinline__ float4 operator()(int64_t row, int column) const {
      const int columns = rows.columns;
      const int64_t at = row * columns;
      const float4 up =
          add(load_quad<kWhole>(rows.up + at, column, columns), load_quad_anywhere<kWhole>(rows.up_b, column, columns));
      return add(add(up, load_quad<kWhole>(rows.a + at, column, columns)),
                 load_quad<kWhole>(rows.residual + at, column, columns));
    }
    const AdapterRows& rows;
  };
};

// Which forward pass a shape takes. By count, not yet measured: one kernel moves half the bytes of the composition, but
// reads both weights, 8·M·C bytes, for every 16 rows, and multiplies at a part of the rate of cuBLASLt; at M = 64 the
// bytes from the second-level cache and the operations come near to what it saves. Must not depend on T: scratch is
// asked for at capacity.
bool is_fused(const AdapterCall& ad) { return ad.bottleneck <= kFusedBottleneck && ad.columns <= kFusedColumns; }

struct ForwardScratch {
  ForwardScratch(const AdapterCall& ad, Scratch& scratch) {
    if (is_fused(ad)) return;
    hidden = scratch.floats(ad.rows * ad.bottleneck);
    if (ad.dropout > 0.0f) input = scratch.floats(ad.rows * ad.columns);
  }

  float* hidden = nullptr;  // [T, M] activation(z)
  float* input = nullptr;   // [T, C] dropout(x)
};

void forward_composed(const Call& call, const AdapterCall& ad) {
  Stream& stream = *call.stream;
  Scratch pieces(call.scratch);
  const ForwardScratch scratch(ad, pieces);
  const int c = static_cast<int>(ad.columns), m = static_cast<int>(ad.bottleneck);
  const float* const a = scratch.input ? scratch.input : ad.x;
  if (scratch.input) {
    const bool whole = is_whole(c, {scratch.input, ad.x});
    launch(stream, quad_tiles("adapter, dropout", ad.rows, c),
           whole ? adapter_dropout_kernel<true> : adapter_dropout_kernel<false>, scratch.input, ad.x,
           Dropout{ad.dropout, ad.rng, call.scalars}, ad.rows, c);
  }
  Product down{ad.z ? ad.z : scratch.hidden, a, ad.down_w, ad.rows, m, c};
  Product up{ad.y, scratch.hidden, ad.up_w, ad.rows, c, m};
  down.transpose_b = up.transpose_b = true;
  stream.multiply(down);
  const bool whole = is_whole(m, {scratch.hidden, ad.z});
  launch(stream, quad_tiles("adapter, bottleneck", ad.rows, m),
         whole ? adapter_hidden_kernel<true> : adapter_hidden_kernel<false>, scratch.hidden, ad.z, ad.down_b,
         ad.activation, ad.rows, m);
  stream.multiply(up);
  normalize(stream, "adapter, LayerNorm", {ad.y, ad.xhat, ad.rstd, ad.gamma, ad.beta, ad.rows, c, ad.epsilon},
            AdapterRows{ad.y, ad.up_b, a, ad.residual, c}, is_whole(c, {ad.y, ad.xhat, a, ad.residual}));
}

void forward_fused(const Call& call, const AdapterCall& ad) {
  const int columns = static_cast<int>(ad.columns);
  const AdapterForward forward{{ad.y, ad.xhat, ad.rstd, ad.gamma, ad.beta, ad.rows, columns, ad.epsilon},
                               ad.z,
                               ad.x,
                               ad.residual,
                               ad.down_w,
                               ad.down_b,
                               ad.up_w,
                               ad.up_b,
                               static_cast<int>(ad.bottleneck),
                               ad.activation,
                               {ad.dropout, ad.rng, call.scalars}};
  const bool whole = is_whole(columns, {ad.y, ad.xhat, ad.x, ad.residual});
  if (ad.dropout > 0.0f) {
    adapter_forward<true>(*call.stream, "adapter", forward, whole);
  } else {
    adapter_forward<false>(*call.stream, "adapter", forward, whole);
  }
}

// --- backward ---

// dz = dz∘activation'(z), which is what column sums add, and hidden = activation(z); dz or hidden may be null.
struct HiddenGradient {
  float* dz;
  float* hidden;
  const float* z;
  int activation;
  int columns;  // M

  template <bool kWhole>
  __device__ __forceinline__ float4 quad(int64_t row, int column) const {
    const int64_t at = row * columns;
    const float4 u = load_quad<kWhole>(z + at, column, columns);
    const Activated all[] = {activate(activation, u.x), activate(activation, u.y), activate(activation, u.z),
                             activate(activation, u.w)};
    if (hidden) store_quad<kWhole>(hidden + at, column, columns, {all[0].y, all[1].y, all[2].y, all[3].y});
    if (!dz) return {};
    const float4 gradient = multiply(load_quad<kWhole>(dz + at, column, columns),
                                     {all[0].derivative, all[1].derivative, all[2].derivative, all[3].derivative});
    store_quad<kWhole>(dz + at, column, columns, gradient);
    return gradient;
  }
};

// dx = (dx + ds)∘mask and input = x∘mask, for those that are not null: one mask serves both.
template <bool kWhole, bool kDropout>
__global__ void adapter_input_gradient_kernel(float* dx, const float* ds, float* input, const float* x, Dropout dropout,
                                              int64_t rows, int columns) {
  const QuadTile tile(rows);
  if (tile.column >= columns) return;
  const QuadMask<kDropout> mask(dropout, columns);
  for (int64_t row = tile.begin; row < tile.end; row += kTileWarps) {
    const int64_t at = row * columns;
    if (dx) {
      const float4 sum =
          add(load_quad<kWhole>(dx + at, tile.column, columns), load_quad<kWhole>(ds + at, tile.column, columns));
      store_quad<kWhole>(dx + at, tile.column, columns, mask.template apply<kWhole>(sum, row, tile.column));
    }
    if (input) {
      const float4 quad = load_quad<kWhole>(x + at, tile.column, columns);
      store_quad<kWhole>(input + at, tile.column, columns, mask.template apply<kWhole>(quad, row, tile.column));
    }
  }
}

// What the asked outputs make necessary.
struct BackwardNeeds {
  explicit BackwardNeeds(const AdapterBackwardCall& ad)
      : dz(ad.dx || ad.d_down_w || ad.d_down_b),
        ds_rows(dz || ad.d_residual || ad.d_up_w),
        ds(ds_rows || ad.d_up_b),
        sums(ad.d_gamma || ad.d_beta || ad.d_up_b),
        input(ad.d_down_w && ad.dropout > 0.0f) {}

  bool dz;
  bool ds_rows;  // ds in memory
  bool ds;       // ds at all
  bool sums;
  bool input;
};

struct BackwardScratch {
  BackwardScratch(const AdapterBackwardCall& ad, Scratch& scratch) {
    const BackwardNeeds needs(ad);
    ds = ad.d_residual;
    if (needs.ds_rows && !ad.d_residual) ds = scratch.floats(ad.rows * ad.columns);
    if (needs.dz) dz = scratch.floats(ad.rows * ad.bottleneck);
    if (ad.d_up_w) hidden = scratch.floats(ad.rows * ad.bottleneck);
    if (needs.input) input = scratch.floats(ad.rows * ad.columns);
    if (needs.sums) slots = ColumnSlots(scratch, ad.rows, ad.columns, 3);
    if (ad.d_down_b) bottleneck_slots = ColumnSlots(scratch, ad.rows, ad.bottleneck, 1);
  }

  float* ds;                     // [T, C], d_residual where that is asked for
  float* dz = nullptr;           // [T, M]
  float* hidden = nullptr;       // [T, M] activation(z)
  float* input = nullptr;        // [T, C] dropout(x)
  ColumnSlots slots;             // d_gamma, d_beta, d_up_b
  ColumnSlots bottleneck_slots;  // d_down_b
};

// ds and the sums over rows of C.
void layer_norm_part(Stream& stream, const AdapterBackwardCall& ad, const BackwardScratch& scratch) {
  const char* const name = "adapter_backward, LayerNorm";
  const BackwardNeeds needs(ad);
  const int columns = static_cast<int>(ad.columns);
  if (needs.ds || needs.sums) {
    normalization_gradient<3>(stream, name, {ad.dy, ad.xhat, ad.rstd, ad.gamma, ad.rows, columns, needs.ds},
                              GradientSink{scratch.ds, columns}, scratch.slots,
                              is_whole(ad.columns, {scratch.ds, ad.dy, ad.xhat}));
  }
  if (needs.sums) add_slots(stream, name, {{ad.d_gamma, ad.d_beta, ad.d_up_b}}, scratch.slots, ad.columns);
}

// dz, activation(z) and the sum over rows of M.
void bottleneck_part(Stream& stream, const AdapterBackwardCall& ad, const BackwardScratch& scratch) {
  const char* const name = "adapter_backward, bottleneck";
  const int64_t m = ad.bottleneck;
  if (scratch.dz) stream.multiply({scratch.dz, scratch.ds, ad.up_w, ad.rows, m, ad.columns});
  if (scratch.dz || scratch.hidden) {
    const HiddenGradient gradient{scratch.dz, scratch.hidden, ad.z, ad.activation, static_cast<int>(m)};
    sum_columns_to_slots(stream, name, gradient, scratch.bottleneck_slots, ad.rows, m,
                         is_whole(m, {scratch.dz, scratch.hidden, ad.z}));
  }
  if (ad.d_down_b) add_slots(stream, name, {{ad.d_down_b, nullptr, nullptr}}, scratch.bottleneck_slots, m);
}

template <bool kDropout>
void input_part(Stream& stream, const AdapterBackwardCall& ad, const BackwardScratch& scratch, const Dropout& dropout) {
  if (ad.dx) stream.multiply({ad.dx, scratch.dz, ad.down_w, ad.rows, ad.columns, ad.bottleneck});
  if (!ad.dx && !scratch.input) return;
  const bool whole = is_whole(ad.columns, {ad.dx, scratch.ds, scratch.input, ad.x});
  launch(stream, quad_tiles("adapter_backward, input", ad.rows, ad.columns),
         whole ? adapter_input_gradient_kernel<true, kDropout> : adapter_input_gradient_kernel<false, kDropout>, ad.dx,
         scratch.ds, scratch.input, ad.x, dropout, ad.rows, static_cast<int>(ad.columns));
}

void weights_part(Stream& stream, const AdapterBackwardCall& ad, const BackwardScratch& scratch) {
  const int64_t c = ad.columns, m = ad.bottleneck;
  const float* const a = scratch.input ? scratch.input : ad.x;
  Product down{ad.d_down_w, scratch.dz, a, m, c, ad.rows};
  Product up{ad.d_up_w, scratch.ds, scratch.hidden, c, m, ad.rows};
  down.transpose_a = up.transpose_a = true;
  if (down.c.data) stream.multiply(down);
  if (up.c.data) stream.multiply(up);
}

}  // namespace

int64_t scratch_adapter(const Call& call) {
  Scratch scratch(nullptr);
  ForwardScratch(AdapterCall(call), scratch);
  return scratch.bytes();
}

void run_adapter(const Call& call) {
  const AdapterCall ad(call);
  if (is_fused(ad)) {
    forward_fused(call, ad);
  } else {
    forward_composed(call, ad);
  }
}

int64_t scratch_adapter_backward(const Call& call) {
  Scratch scratch(nullptr);
  BackwardScratch(AdapterBackwardCall(call), scratch);
  return scratch.bytes();
}

void run_adapter_backward(const Call& call) {
  const AdapterBackwardCall ad(call);
  Stream& stream = *call.stream;
  Scratch pieces(call.scratch);
  const BackwardScratch scratch(ad, pieces);
  const Dropout dropout{ad.dropout, ad.rng, call.scalars};
  layer_norm_part(stream, ad, scratch);
  bottleneck_part(stream, ad, scratch);
  if (ad.dropout > 0.0f) {
    input_part<true>(stream, ad, scratch, dropout);
  } else {
    input_part<false>(stream, ad, scratch, dropout);
  }
  weights_part(stream, ad, scratch);
}

}  // namespace oa::cuda
