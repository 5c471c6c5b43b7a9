// Bottleneck adapter with the residual sum and the LayerNorm that follow it, in f32, of matrices S, f32 or bf16, in
// memory. Forward where is_fused(): one
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
// In bf16, x of the forward pass, both products' results and the sum are f32, so that y is rounded once, behind the
// LayerNorm; the products' operands a and h are rounded. Backward, ds and dz are rounded where they are kept.
// Traffic in bytes a row of C, in f32, without the products': forward 16·C, with xhat 20·C, with dropout 8·C more;
// backward 12·C for ds and sums, 12·C for dx, 8·C for a. The bottleneck's are small beside them.
#define OA_ISA cuda
#include "ops/adapter.h"

#include "cuda/activations.cuh"
#include "ops/adapter_forward.cuh"
#include "ops/layer_norm.cuh"

namespace oa::cuda {

namespace {

// --- forward ---

// a = x∘mask, rounded where S is bf16
template <bool kWhole, bool kDropout, class S>
__global__ void adapter_dropout_kernel(S* a, const float* x, Dropout dropout, int64_t rows, int columns) {
  const QuadTile tile(rows);
  if (tile.column >= columns) return;
  const QuadMask<kDropout> mask(dropout, columns);
  for (int64_t row = tile.begin; row < tile.end; row += kTileWarps) {
    const float4 quad = load_quad<kWhole>(x + row * columns, tile.column, columns);
    store_quad<kWhole>(a + row * columns, tile.column, columns, mask.template apply<kWhole>(quad, row, tile.column));
  }
}

// z = product + bias and hidden = activation(z), rows of M; the product may lie in either. z may be null.
template <bool kWhole, class S>
__global__ void adapter_hidden_kernel(S* hidden, S* z, const float* product, const float* bias, int activation,
                                      int64_t rows, int columns) {
  const QuadTile tile(rows);
  if (tile.column >= columns) return;
  const float4 shift = load_quad_anywhere<kWhole>(bias, tile.column, columns);
  for (int64_t row = tile.begin; row < tile.end; row += kTileWarps) {
    const int64_t at = row * columns;
    const float4 u = add(load_quad<kWhole>(product + at, tile.column, columns), shift);
    if (z) store_quad<kWhole>(z + at, tile.column, columns, u);
    store_quad<kWhole>(hidden + at, tile.column, columns,
                       each([&](float value) { return activate(activation, value).y; }, u));
  }
}

// s = up + up_b + dropout(x) + residual
template <bool kDropout, class S>
struct AdapterRows {
  const float* up;  // h·up_wᵀ, where y will be if that is f32
  const float* up_b;
  const float* x;
  const S* residual;
  int columns;
  Dropout dropout;

  template <bool kWhole>
  struct Reader {
    __device__ __forceinline__ explicit Reader(const AdapterRows& rows_)
        : rows(rows_), mask(rows_.dropout, rows_.columns) {}
    __device__ __forceinline__ float4 operator()(int64_t row, int column) const {
      const int columns = rows.columns;
      const int64_t at = row * columns;
      const float4 up =
          add(load_quad<kWhole>(rows.up + at, column, columns), load_quad_anywhere<kWhole>(rows.up_b, column, columns));
      const float4 x = load_quad<kWhole>(rows.x + at, column, columns);
      return add(add(up, mask.template apply<kWhole>(x, row, column)),
                 load_quad<kWhole>(rows.residual + at, column, columns));
    }
    const AdapterRows& rows;
    QuadMask<kDropout> mask;
  };
};

// Which forward pass a shape takes. By count, not yet measured: one kernel moves half the bytes of the composition, but
// reads both weights, 8·M·C bytes, for every 16 rows, and multiplies at a part of the rate of cuBLASLt; at M = 64 the
// bytes from the second-level cache and the operations come near to what it saves. Must not depend on T: scratch is
// asked for at capacity.
bool is_fused(const AdapterCall& ad) { return ad.bottleneck <= kFusedBottleneck && ad.columns <= kFusedColumns; }

template <class S>
S* elements_of(Scratch& scratch, int64_t count) {
  return as<S>(scratch.floats((count * static_cast<int64_t>(sizeof(S)) + 3) / 4));
}

// What lies in scratch between the products of a forward pass; what can be in place is null.
template <class S>
struct ForwardScratch {
  static constexpr bool kNarrow = !std::is_same_v<S, float>;

  ForwardScratch(const AdapterCall& ad, Scratch& scratch) {
    if (is_fused(ad)) return;
    hidden = elements_of<S>(scratch, ad.rows * ad.bottleneck);
    if (kNarrow || ad.dropout > 0.0f) input = elements_of<S>(scratch, ad.rows * ad.columns);
    if (!kNarrow) return;
    down = scratch.floats(ad.rows * ad.bottleneck);
    up = scratch.floats(ad.rows * ad.columns);
  }

  S* hidden = nullptr;    // [T, M] activation(z)
  S* input = nullptr;     // [T, C] dropout(x), where that is not x itself
  float* down = nullptr;  // [T, M] a·down_wᵀ
  float* up = nullptr;    // [T, C] h·up_wᵀ
};

// a as the products read it. Where S is f32 and nothing is dropped it is x.
template <class S>
const S* make_input(const Call& call, const AdapterCall& ad, const ForwardScratch<S>& scratch) {
  if (!scratch.input) return as<S>(ad.x);
  const int c = static_cast<int>(ad.columns);
  const bool whole = is_whole(c, {scratch.input, ad.x}), drops = ad.dropout > 0.0f;
  const auto kernel = drops
                          ? (whole ? adapter_dropout_kernel<true, true, S> : adapter_dropout_kernel<false, true, S>)
                          : (whole ? adapter_dropout_kernel<true, false, S> : adapter_dropout_kernel<false, false, S>);
  launch(*call.stream, quad_tiles("adapter, dropout", ad.rows, c), kernel, scratch.input, ad.x,
         Dropout{ad.dropout, ad.rng, call.scalars}, ad.rows, c);
  return scratch.input;
}

// The last pass. In f32 it reads a as the products did; in bf16 that is rounded, so it makes a again of x.
template <bool kDropout, class S>
void sum_and_normalize(const Call& call, const AdapterCall& ad, const float* up, const float* x) {
  const int c = static_cast<int>(ad.columns);
  const Normalization<S> norm{as<S>(ad.y), as<S>(ad.xhat), ad.rstd, ad.gamma, ad.beta, ad.rows, c, ad.epsilon};
  normalize(*call.stream, "adapter, LayerNorm", norm,
            AdapterRows<kDropout, S>{up, ad.up_b, x, as<S>(ad.residual), c, {ad.dropout, ad.rng, call.scalars}},
            is_whole(c, {ad.y, ad.xhat, up, x, ad.residual}));
}

template <class S>
void forward_composed(const Call& call, const AdapterCall& ad) {
  constexpr bool kNarrow = ForwardScratch<S>::kNarrow;
  Stream& stream = *call.stream;
  Scratch pieces(call.scratch);
  const ForwardScratch<S> scratch(ad, pieces);
  const int c = static_cast<int>(ad.columns), m = static_cast<int>(ad.bottleneck);
  S* const z = as<S>(ad.z);
  const S* const a = make_input(call, ad, scratch);
  float* const down_product = kNarrow ? scratch.down : (ad.z ? ad.z : reinterpret_cast<float*>(scratch.hidden));
  float* const up_product = kNarrow ? scratch.up : ad.y;
  Product down{down_product, a, as<S>(ad.down_w), ad.rows, m, c};
  Product up{up_product, scratch.hidden, as<S>(ad.up_w), ad.rows, c, m};
  down.transpose_b = up.transpose_b = true;
  stream.multiply(down);
  const bool whole = is_whole(m, {scratch.hidden, ad.z, down_product});
  launch(stream, quad_tiles("adapter, bottleneck", ad.rows, m),
         whole ? adapter_hidden_kernel<true, S> : adapter_hidden_kernel<false, S>, scratch.hidden, z,
         static_cast<const float*>(down_product), ad.down_b, ad.activation, ad.rows, m);
  stream.multiply(up);
  if constexpr (!kNarrow) return sum_and_normalize<false, S>(call, ad, up_product, a);
  if (ad.dropout > 0.0f) return sum_and_normalize<kNarrow, S>(call, ad, up_product, ad.x);
  sum_and_normalize<false, S>(call, ad, up_product, ad.x);
}

template <class S>
void forward_fused(const Call& call, const AdapterCall& ad) {
  const int columns = static_cast<int>(ad.columns);
  const AdapterForward<S> forward{
      {as<S>(ad.y), as<S>(ad.xhat), ad.rstd, ad.gamma, ad.beta, ad.rows, columns, ad.epsilon},
      as<S>(ad.z),
      ad.x,
      as<S>(ad.residual),
      as<S>(ad.down_w),
      ad.down_b,
      as<S>(ad.up_w),
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
template <class S>
struct HiddenGradient {
  S* dz;
  S* hidden;
  const S* z;
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
template <bool kWhole, bool kDropout, class S>
__global__ void adapter_input_gradient_kernel(S* dx, const S* ds, S* input, const S* x, Dropout dropout, int64_t rows,
                                              int columns) {
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

template <class S>
struct BackwardScratch {
  BackwardScratch(const AdapterBackwardCall& ad, Scratch& scratch) {
    const BackwardNeeds needs(ad);
    ds = as<S>(ad.d_residual);
    if (needs.ds_rows && !ad.d_residual) ds = elements_of<S>(scratch, ad.rows * ad.columns);
    if (needs.dz) dz = elements_of<S>(scratch, ad.rows * ad.bottleneck);
    if (ad.d_up_w) hidden = elements_of<S>(scratch, ad.rows * ad.bottleneck);
    if (needs.input) input = elements_of<S>(scratch, ad.rows * ad.columns);
    if (needs.sums) slots = ColumnSlots(scratch, ad.rows, ad.columns, 3);
    if (ad.d_down_b) bottleneck_slots = ColumnSlots(scratch, ad.rows, ad.bottleneck, 1);
  }

  S* ds;                         // [T, C], d_residual where that is asked for
  S* dz = nullptr;               // [T, M]
  S* hidden = nullptr;           // [T, M] activation(z)
  S* input = nullptr;            // [T, C] dropout(x)
  ColumnSlots slots;             // d_gamma, d_beta, d_up_b
  ColumnSlots bottleneck_slots;  // d_down_b
};

// ds and the sums over rows of C.
template <class S>
void layer_norm_part(Stream& stream, const AdapterBackwardCall& ad, const BackwardScratch<S>& scratch) {
  const char* const name = "adapter_backward, LayerNorm";
  const BackwardNeeds needs(ad);
  const int columns = static_cast<int>(ad.columns);
  if (needs.ds || needs.sums) {
    const NormalizationGradient<S> norm{as<S>(ad.dy), as<S>(ad.xhat), ad.rstd, ad.gamma, ad.rows, columns, needs.ds};
    normalization_gradient<3>(stream, name, norm, GradientSink<S>{scratch.ds, columns}, scratch.slots,
                              is_whole(ad.columns, {scratch.ds, ad.dy, ad.xhat}));
  }
  if (needs.sums) add_slots(stream, name, {{ad.d_gamma, ad.d_beta, ad.d_up_b}}, scratch.slots, ad.columns);
}

// dz, activation(z) and the sum over rows of M.
template <class S>
void bottleneck_part(Stream& stream, const AdapterBackwardCall& ad, const BackwardScratch<S>& scratch) {
  const char* const name = "adapter_backward, bottleneck";
  const int64_t m = ad.bottleneck;
  const Product product{scratch.dz, scratch.ds, as<S>(ad.up_w), ad.rows, m, ad.columns};
  if (scratch.dz) stream.multiply(product);
  if (scratch.dz || scratch.hidden) {
    const HiddenGradient<S> gradient{scratch.dz, scratch.hidden, as<S>(ad.z), ad.activation, static_cast<int>(m)};
    sum_columns_to_slots(stream, name, gradient, scratch.bottleneck_slots, ad.rows, m,
                         is_whole(m, {scratch.dz, scratch.hidden, ad.z}));
  }
  if (ad.d_down_b) add_slots(stream, name, {{ad.d_down_b, nullptr, nullptr}}, scratch.bottleneck_slots, m);
}

template <bool kDropout, class S>
void input_part(Stream& stream, const AdapterBackwardCall& ad, const BackwardScratch<S>& scratch,
                const Dropout& dropout) {
  const Product product{as<S>(ad.dx), scratch.dz, as<S>(ad.down_w), ad.rows, ad.columns, ad.bottleneck};
  if (ad.dx) stream.multiply(product);
  if (!ad.dx && !scratch.input) return;
  const bool whole = is_whole(ad.columns, {ad.dx, scratch.ds, scratch.input, ad.x});
  launch(stream, quad_tiles("adapter_backward, input", ad.rows, ad.columns),
         whole ? adapter_input_gradient_kernel<true, kDropout, S> : adapter_input_gradient_kernel<false, kDropout, S>,
         as<S>(ad.dx), scratch.ds, scratch.input, as<S>(ad.x), dropout, ad.rows, static_cast<int>(ad.columns));
}

template <class S>
void weights_part(Stream& stream, const AdapterBackwardCall& ad, const BackwardScratch<S>& scratch) {
  const int64_t c = ad.columns, m = ad.bottleneck;
  const S* const a = scratch.input ? scratch.input : as<S>(ad.x);
  Product down{ad.d_down_w, scratch.dz, a, m, c, ad.rows};
  Product up{ad.d_up_w, scratch.ds, scratch.hidden, c, m, ad.rows};
  down.transpose_a = up.transpose_a = true;
  if (down.c.data) stream.multiply(down);
  if (up.c.data) stream.multiply(up);
}

}  // namespace

int64_t scratch_adapter(const Call& call) {
  Scratch scratch(nullptr);
  with_storage(call[0].dtype, [&](auto stored) { ForwardScratch<decltype(stored)>(AdapterCall(call), scratch); });
  return scratch.bytes();
}

void run_adapter(const Call& call) {
  const AdapterCall ad(call);
  with_storage(call[0].dtype, [&](auto stored) {
    using S = decltype(stored);
    if (is_fused(ad)) {
      forward_fused<S>(call, ad);
    } else {
      forward_composed<S>(call, ad);
    }
  });
}

int64_t scratch_adapter_backward(const Call& call) {
  Scratch scratch(nullptr);
  with_storage(call[8].dtype,
               [&](auto stored) { BackwardScratch<decltype(stored)>(AdapterBackwardCall(call), scratch); });
  return scratch.bytes();
}

void run_adapter_backward(const Call& call) {
  const AdapterBackwardCall ad(call);
  Stream& stream = *call.stream;
  Scratch pieces(call.scratch);
  const Dropout dropout{ad.dropout, ad.rng, call.scalars};
  with_storage(call[8].dtype, [&](auto stored) {
    const BackwardScratch<decltype(stored)> scratch(ad, pieces);
    layer_norm_part(stream, ad, scratch);
    bottleneck_part(stream, ad, scratch);
    if (ad.dropout > 0.0f) {
      input_part<true>(stream, ad, scratch, dropout);
    } else {
      input_part<false>(stream, ad, scratch, dropout);
    }
    weights_part(stream, ad, scratch);
  });
}

}  // namespace oa::cuda
