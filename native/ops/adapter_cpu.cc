#include "ops/adapter.h"

#include <cstddef>

#include "cpu/gemm/gemm.h"
#include "cpu/math.h"
#include "cpu/philox.h"
#include "ops/check.h"
#include "ops/column_sums.h"
#include "ops/layer_norm_rows.h"
#include "ops/scratch.h"

namespace oa::OA_ISA {

namespace {

// Rows that go through the whole adapter together: their x, z and y stay in the second-level cache beside the two
// packed matrices (C = 384, M = 64: 150 KiB + 200 KiB). A multiple of 4, so that a block starts at a whole group of
// dropout numbers whatever C is.
constexpr int64_t kBlockRows = 32;

// to = from∘mask for n elements from `element` on.
void apply_mask(float* to, const float* from, const DropoutStream& stream, int64_t element, int64_t n) {
  for_columns(n, [&](int64_t i, int lanes) OA_INLINE_BODY {
    store_lanes(to + i, load_lanes(from + i, lanes) * stream.mask(element + i), lanes);
  });
}

// z = z + bias and y = activation(z), rows of `columns`; y may be z, where only y is left. Bias and activation come
// here rather than from the product's epilogue: that would be one more pass over the block.
void bias_and_activate(int activation, float* y, float* z, const float* bias, int64_t rows, int64_t columns) {
  with_activation(activation, [&](auto chosen) {
    for (int64_t r = 0; r < rows; ++r) {
      for_columns(columns, [&](int64_t c, int lanes) OA_INLINE_BODY {
        const int64_t at = r * columns + c;
        const Vec u = load_lanes(z + at, lanes) + load_lanes(bias + c, lanes);
        store_lanes(z + at, u, lanes);
        store_lanes(y + at, activate<chosen.value>(u), lanes);
      });
    }
  });
}

// y = activation(z) and dz = dz∘activation'(z); y or dz may be null.
void activation_gradient(int activation, float* y, float* dz, const float* z, int64_t n) {
  with_activation(activation, [&](auto chosen) {
    for_columns(n, [&](int64_t i, int lanes) OA_INLINE_BODY {
      Vec value, slope;
      activate<chosen.value>(load_lanes(z + i, lanes), value, slope);
      if (y) store_lanes(y + i, value, lanes);
      if (dz) store_lanes(dz + i, load_lanes(dz + i, lanes) * slope, lanes);
    });
  });
}

struct ForwardScratch {
  ForwardScratch(const AdapterCall& ad, int threads, char* base) {
    Scratch scratch(base);
    if (!ad.packed) {
      down = scratch.floats(packed_floats(ad.bottleneck, ad.columns));
      up = scratch.floats(packed_floats(ad.columns, ad.bottleneck));
    }
    hidden_stride = align_floats(kBlockRows * ad.bottleneck);
    hidden = scratch.floats(threads * hidden_stride);
    if (ad.dropout > 0.0f) {
      input_stride = align_floats(kBlockRows * ad.columns);
      input = scratch.floats(threads * input_stride);
    }
    bytes = scratch.bytes();
  }

  float* down = nullptr;   // panels of down_w, where it comes as rows
  float* up = nullptr;     // panels of up_w
  float* hidden;           // per thread [block, M]: activation(z)
  float* input = nullptr;  // per thread [block, C]: dropout(x)
  int64_t hidden_stride;
  int64_t input_stride = 0;
  int64_t bytes;
};

// Rows of a block. Few rows, as those of one task in a batch of many, are spread over the threads; every row is for
// itself, so a sum is the same in any block.
int64_t block_rows(int64_t rows) { return rows >= 4 * kBlockRows ? kBlockRows : kBlockRows / 2; }

void forward_block(const AdapterCall& ad, const ForwardScratch& scratch, const DropoutStream& stream, ChunkRange range,
                   int thread) {
  const int64_t rows = range.end - range.begin;
  const int64_t start = range.begin * ad.columns;
  const float* a = ad.x + start;
  if (ad.dropout > 0.0f) {
    float* masked = scratch.input + thread * scratch.input_stride;
    apply_mask(masked, a, stream, start, rows * ad.columns);
    a = masked;
  }
  float* hidden = scratch.hidden + thread * scratch.hidden_stride;
  float* z = ad.z ? ad.z + range.begin * ad.bottleneck : hidden;
  gemm_packed_rows(z, ad.bottleneck, a, ad.columns, ad.packed ? ad.down_w : scratch.down, rows, ad.bottleneck,
                   ad.columns, {});
  bias_and_activate(ad.activation, hidden, z, ad.down_b, rows, ad.bottleneck);
  float* y = ad.y + start;
  gemm_packed_rows(y, ad.columns, hidden, ad.bottleneck, ad.packed ? ad.up_w : scratch.up, rows, ad.columns,
                   ad.bottleneck, {});

  const float* residual = ad.residual + start;
  const auto source = [&](int64_t row, int64_t c, int lanes) OA_INLINE_BODY {
    const int64_t at = row * ad.columns + c;
    return load_lanes(y + at, lanes) + load_lanes(ad.up_b + c, lanes) + load_lanes(a + at, lanes) +
           load_lanes(residual + at, lanes);
  };
  const LayerNormRows norm{y,
                           ad.xhat ? ad.xhat + start : nullptr,
                           ad.rstd ? ad.rstd + range.begin : nullptr,
                           ad.gamma,
                           ad.beta,
                           ad.columns,
                           ad.epsilon};
  normalize_block(norm, 0, rows, source);
}

}  // namespace

const char* check_adapter(const Call& call) {
  const Operand& y = call[0];
  const Operand& down_w = call[6];
  if (y.rank != 2 || y.shape[1] < 1) return "y must be [T, C]";
  const int64_t rows = y.shape[0];
  const int64_t columns = y.shape[1];
  if (down_w.rank != 2 || down_w.shape[0] < 1 || down_w.shape[1] != columns) return "down_w must be [M, C]";
  const int64_t bottleneck = down_w.shape[0];
  if (!absent_or_matrix(call[1], rows, columns)) return "xhat must have the shape of y";
  if (!absent_or_vector(call[2], rows)) return "rstd must be [T], one for every row of y";
  if (!absent_or_matrix(call[3], rows, bottleneck)) return "z must be [T, M] with the rows of y and of down_w";
  if (!is_matrix(call[4], rows, columns)) return "x must have the shape of y";
  if (!is_matrix(call[5], rows, columns)) return "residual must have the shape of y";
  if (!is_vector(call[7], bottleneck)) return "down_b must be [M], one for every row of down_w";
  if (!is_matrix(call[8], columns, bottleneck)) return "up_w must be [C, M]";
  if (!is_vector(call[9], columns)) return "up_b must be [C], one for every column of y";
  if (!is_vector(call[10], columns)) return "gamma must be [C], one for every column of y";
  if (!is_vector(call[11], columns)) return "beta must be [C], one for every column of y";
  if (down_w.form == Form::packed_transposed || down_w.form != call[8].form)
    return "down_w and up_w must both be raw or both packed";
  if (!is_activation(call.attribute_i32(0))) return "activation is not one of the known numbers";
  if (!is_epsilon(call.attribute_f32(1))) return "epsilon must be at least 0 and less than 1";
  if (!is_dropout(call.attribute_f32(2))) return "dropout must be at least 0 and less than 1";
  return nullptr;
}

int64_t scratch_adapter(const Call& call) {
  return ForwardScratch(AdapterCall(call), call.pool->threads(), nullptr).bytes;
}

void run_adapter(const Call& call) {
  const AdapterCall ad(call);
  if (ad.rows == 0) return;
  ThreadPool& pool = *call.pool;
  const ForwardScratch scratch(ad, pool.threads(), call.scratch);
  const DropoutStream stream(ad.dropout, ad.rng, *call.scalars, 0);
  if (!ad.packed) {
    pack(&pool, scratch.down, ad.down_w, ad.bottleneck, ad.columns, ad.columns, 1);
    pack(&pool, scratch.up, ad.up_w, ad.columns, ad.bottleneck, ad.bottleneck, 1);
  }
  const int64_t size = block_rows(ad.rows);
  pool.parallel_for(chunk_count(ad.rows, size), [&](int64_t chunk, int thread) {
    forward_block(ad, scratch, stream, chunk_range(chunk, size, ad.rows), thread);
  });
}

// ---- backward ----

namespace {

// What the asked outputs make necessary.
struct BackwardNeeds {
  explicit BackwardNeeds(const AdapterBackwardCall& ad)
      : dz(ad.dx || ad.d_down_w || ad.d_down_b),
        ds(dz || ad.d_residual || ad.d_up_w || ad.d_up_b),
        affine(ad.d_gamma || ad.d_beta) {}

  bool dz;
  bool ds;
  bool affine;
};

// Activations that only weight gradients read are kept for all tokens, [T, ·]: the sum over tokens is then one
// product per matrix. Slots of [C] and [M] per chunk would be cheaper for nobody, partial matrices per chunk dearer.
struct BackwardScratch {
  BackwardScratch(const AdapterBackwardCall& ad, int threads, char* base) {
    const BackwardNeeds needs(ad);
    const int64_t c = ad.columns;
    const int64_t m = ad.bottleneck;
    Scratch scratch(base);
    if (needs.dz) up = scratch.floats(packed_floats(m, c));
    if (ad.dx) down = scratch.floats(packed_floats(c, m));
    if (ad.d_up_w) hidden = scratch.floats(ad.rows * m);
    if (ad.d_down_w && ad.dropout > 0.0f) input = scratch.floats(ad.rows * c);
    if (needs.ds && !ad.d_residual) ds = rows_of(scratch, ad.d_up_w, ad.rows, c, threads, ds_stride);
    if (needs.dz) dz = rows_of(scratch, ad.d_down_w, ad.rows, m, threads, dz_stride);
    vector_stride = align_floats(c);
    slot_stride = 3 * vector_stride + align_floats(m);
    if (needs.affine || ad.d_up_b || ad.d_down_b) slots = scratch.floats(slot_count(ad.rows) * slot_stride);
    bytes = scratch.bytes();
  }

  // All rows where a weight gradient reads them, else one block per thread; stride 0 says all rows.
  static float* rows_of(Scratch& scratch, bool all, int64_t rows, int64_t columns, int threads, int64_t& stride) {
    stride = all ? 0 : align_floats(kBlockRows * columns);
    return scratch.floats(all ? rows * columns : threads * stride);
  }

  float* up = nullptr;      // panels for ds·up_w
  float* down = nullptr;    // panels for dz·down_w
  float* hidden = nullptr;  // [T, M] activation(z)
  float* input = nullptr;   // [T, C] dropout(x)
  float* ds = nullptr;      // [T, C] or per thread [block, C]; null when d_residual is its place
  float* dz = nullptr;      // [T, M] or per thread [block, M]
  float* slots = nullptr;   // per chunk: d_gamma, d_beta, d_up_b [C], d_down_b [M]
  int64_t ds_stride = 0;
  int64_t dz_stride = 0;
  int64_t vector_stride;
  int64_t slot_stride;
  int64_t bytes;
};

// Where a block's rows are: in a matrix of all rows, or in the thread's own block.
float* block_of(float* base, int64_t stride, int64_t begin, int64_t columns, int thread) {
  return base + (stride == 0 ? begin * columns : thread * stride);
}

// dx = dx∘mask and input = x∘mask, for those that are there: one mask serves both.
void mask_block(const AdapterBackwardCall& ad, float* input, const DropoutStream& stream, ChunkRange range) {
  const int64_t start = range.begin * ad.columns;
  for_columns((range.end - range.begin) * ad.columns, [&](int64_t i, int lanes) OA_INLINE_BODY {
    const int64_t at = start + i;
    const Vec mask = stream.mask(at);
    if (ad.dx) store_lanes(ad.dx + at, load_lanes(ad.dx + at, lanes) * mask, lanes);
    if (input) store_lanes(input + at, load_lanes(ad.x + at, lanes) * mask, lanes);
  });
}

void bottleneck_block(const AdapterBackwardCall& ad, const BackwardScratch& scratch, const float* ds, float* slot,
                      ChunkRange range, int thread) {
  const int64_t rows = range.end - range.begin;
  const int64_t c = ad.columns;
  const int64_t m = ad.bottleneck;
  float* dz = block_of(scratch.dz, scratch.dz_stride, range.begin, m, thread);
  float* hidden = scratch.hidden ? scratch.hidden + range.begin * m : nullptr;
  gemm_packed_rows(dz, m, ds, c, scratch.up, rows, m, c, {});
  activation_gradient(ad.activation, hidden, dz, ad.z + range.begin * m, rows * m);
  if (ad.d_down_b) sum_rows_to(slot + 3 * scratch.vector_stride, dz, m, rows, m, true);
  if (!ad.dx) return;
  Epilogue plus_ds;
  plus_ds.add = ds;
  gemm_packed_rows(ad.dx + range.begin * c, c, dz, m, scratch.down, rows, c, m, plus_ds);
}

void backward_block(const AdapterBackwardCall& ad, const BackwardNeeds& needs, const BackwardScratch& scratch,
                    const DropoutStream& stream, float* slot, ChunkRange range, int thread) {
  const int64_t rows = range.end - range.begin;
  const int64_t start = range.begin * ad.columns;
  float* ds = nullptr;
  if (ad.d_residual) {
    ds = ad.d_residual + start;
  } else if (needs.ds) {
    ds = block_of(scratch.ds, scratch.ds_stride, range.begin, ad.columns, thread);
  }
  const LayerNormGradientRows norm{ad.dy + start,
                                   ad.xhat + start,
                                   ad.rstd + range.begin,
                                   ad.gamma,
                                   needs.affine ? slot : nullptr,
                                   scratch.vector_stride,
                                   needs.ds,
                                   ad.columns};
  layer_norm_gradient_block(norm, 0, rows, [&](int64_t row, int64_t c, int lanes, Vec d) OA_INLINE_BODY {
    store_lanes(ds + row * ad.columns + c, d, lanes);
  });
  if (ad.d_up_b) sum_rows_to(slot + 2 * scratch.vector_stride, ds, ad.columns, rows, ad.columns, true);
  if (needs.dz) {
    bottleneck_block(ad, scratch, ds, slot, range, thread);
  } else if (ad.d_up_w) {
    const int64_t at = range.begin * ad.bottleneck;
    activation_gradient(ad.activation, scratch.hidden + at, nullptr, ad.z + at, rows * ad.bottleneck);
  }
  if (ad.dropout > 0.0f && (ad.dx || scratch.input)) mask_block(ad, scratch.input, stream, range);
}

void backward_rows(const AdapterBackwardCall& ad, const BackwardScratch& scratch, const DropoutStream& stream,
                   ThreadPool& pool) {
  const BackwardNeeds needs(ad);
  const int64_t size = chunk_rows(ad.rows);
  pool.parallel_for(chunk_count(ad.rows, size), [&](int64_t chunk, int thread) {
    float* slot = scratch.slots ? scratch.slots + chunk * scratch.slot_stride : nullptr;
    if (slot) __builtin_memset(slot, 0, static_cast<size_t>(scratch.slot_stride) * sizeof(float));
    const ChunkRange rows = chunk_range(chunk, size, ad.rows);
    for (int64_t begin = rows.begin; begin < rows.end; begin += kBlockRows) {
      const int64_t end = begin + kBlockRows < rows.end ? begin + kBlockRows : rows.end;
      backward_block(ad, needs, scratch, stream, slot, {begin, end}, thread);
    }
  });
}

void sum_vectors(const AdapterBackwardCall& ad, const BackwardScratch& scratch, ThreadPool& pool) {
  const int64_t chunks = chunk_count(ad.rows, chunk_rows(ad.rows));
  float* const outputs[] = {ad.d_gamma, ad.d_beta, ad.d_up_b, ad.d_down_b};
  for (int i = 0; i < 4; ++i) {
    if (!outputs[i]) continue;
    add_slots(pool, outputs[i], scratch.slots + i * scratch.vector_stride, scratch.slot_stride, chunks,
              i == 3 ? ad.bottleneck : ad.columns);
  }
}

}  // namespace

const char* check_adapter_backward(const Call& call) {
  const Operand& dy = call[8];
  const Operand& down_w = call[13];
  if (dy.rank != 2 || dy.shape[1] < 1) return "dy must be [T, C]";
  const int64_t rows = dy.shape[0];
  const int64_t columns = dy.shape[1];
  if (down_w.rank != 2 || down_w.shape[0] < 1 || down_w.shape[1] != columns) return "down_w must be [M, C]";
  const int64_t bottleneck = down_w.shape[0];
  if (!absent_or_matrix(call[0], rows, columns)) return "dx must have the shape of dy";
  if (!absent_or_matrix(call[1], rows, columns)) return "d_residual must have the shape of dy";
  if (!absent_or_matrix(call[2], bottleneck, columns)) return "d_down_w must have the shape of down_w";
  if (!absent_or_vector(call[3], bottleneck)) return "d_down_b must be [M], one for every row of down_w";
  if (!absent_or_matrix(call[4], columns, bottleneck)) return "d_up_w must have the shape of up_w";
  if (!absent_or_vector(call[5], columns)) return "d_up_b must be [C], one for every column of dy";
  if (!absent_or_vector(call[6], columns)) return "d_gamma must be [C], one for every column of dy";
  if (!absent_or_vector(call[7], columns)) return "d_beta must be [C], one for every column of dy";
  if (!is_matrix(call[9], rows, columns)) return "x must have the shape of dy";
  if (!is_matrix(call[10], rows, bottleneck)) return "z must be [T, M] with the rows of dy and of down_w";
  if (!is_matrix(call[11], rows, columns)) return "xhat must have the shape of dy";
  if (!is_vector(call[12], rows)) return "rstd must be [T], one for every row of dy";
  if (!is_matrix(call[14], columns, bottleneck)) return "up_w must be [C, M]";
  if (!is_vector(call[15], columns)) return "gamma must be [C], one for every column of dy";
  if (down_w.form != Form::raw || call[14].form != Form::raw) return "down_w and up_w must be raw, not packed";
  if (!is_activation(call.attribute_i32(0))) return "activation is not one of the known numbers";
  if (!is_dropout(call.attribute_f32(1))) return "dropout must be at least 0 and less than 1";
  return nullptr;
}

int64_t scratch_adapter_backward(const Call& call) {
  return BackwardScratch(AdapterBackwardCall(call), call.pool->threads(), nullptr).bytes;
}

void run_adapter_backward(const Call& call) {
  const AdapterBackwardCall ad(call);
  ThreadPool& pool = *call.pool;
  const BackwardScratch scratch(ad, pool.threads(), call.scratch);
  const DropoutStream stream(ad.dropout, ad.rng, *call.scalars, 0);
  const int64_t c = ad.columns;
  const int64_t m = ad.bottleneck;
  if (scratch.up) pack(&pool, scratch.up, ad.up_w, m, c, 1, m);
  if (scratch.down) pack(&pool, scratch.down, ad.down_w, c, m, 1, c);
  backward_rows(ad, scratch, stream, pool);
  sum_vectors(ad, scratch, pool);
  const float* ds = ad.d_residual ? ad.d_residual : scratch.ds;
  const float* a = scratch.input ? scratch.input : ad.x;
  if (ad.d_down_w) gemm_weight_gradient(pool, ad.d_down_w, scratch.dz, m, a, c, ad.rows, m, c);
  if (ad.d_up_w) gemm_weight_gradient(pool, ad.d_up_w, ds, c, scratch.hidden, m, ad.rows, c, m);
}

}  // namespace oa::OA_ISA
