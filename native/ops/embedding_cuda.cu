// y[t] = word[ids[t]] + position[t - cu[b] + position_offset] + token_type[types[t]], see embedding.h. A warp owns a
// row of y, `=`. Rows behind cu[B] are no sequence's: they get word[0] + position[position_offset] + token_type[0].
// Traffic: at most 12 bytes an element; the rows of positions and types come from the caches.
//
// Backward, every gradient `=` and the same bits each time: no atomics.
//   d_word        tokens are sorted by (id, token): tiles in shared memory, then runs are merged in pairs. A warp owns
//                 128 columns of a row of the table and adds its run of tokens in order; no tokens, zeros. For a long
//                 text the longest run (a comma's) is the end that all wait for.
//   d_position    a warp owns 128 columns of a row and goes through the sequences in order.
//   d_token_type  a warp owns 128 columns of the slot of one type and one chunk of tokens; slots are added in order.
// Traffic: dy once for each, the tables written once, 16 bytes a token and merge.
#define OA_ISA cuda
#include "ops/embedding.h"

#include "cuda/launch.cuh"
#include "cuda/rows.cuh"
#include "cuda/shared.cuh"
#include "ops/scratch.h"

namespace oa::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;

template <class S>
struct Sources {
  const S* word;
  const S* position;    // null: none
  const S* token_type;  // null: none
};

template <class S>
__device__ __forceinline__ Sources<S> sources_of(const EmbeddingCall& e, int64_t t) {
  const bool padding = t >= e.cu[e.sequences];
  Sources<S> from{as<S>(e.word) + (padding ? 0 : e.ids[t]) * e.columns, nullptr, nullptr};
  if (e.position) {
    const int64_t index = padding ? 0 : t - e.cu[sequence_of(e.cu, e.sequences, t)];
    from.position = as<S>(e.position) + (index + e.position_offset) * e.columns;
  }
  if (e.token_type) from.token_type = as<S>(e.token_type) + (padding || !e.types ? 0 : e.types[t]) * e.columns;
  return from;
}

template <class S>
__global__ void embedding_kernel(EmbeddingCall e) {
  const int64_t t = int64_t{blockIdx.x} * kWarps + warp();
  if (t >= e.tokens) return;
  const Sources<S> from = sources_of<S>(e, t);
  for (int64_t c = 0; c < e.columns; c += kStripe) {
    const int64_t width = e.columns - c;
    Columns sum = load_columns(from.word + c, width);
    if (from.position) add_columns(sum, load_columns(from.position + c, width));
    if (from.token_type) add_columns(sum, load_columns(from.token_type + c, width));
    store_columns(as<S>(e.y) + t * e.columns + c, width, sum);
  }
}

}  // namespace

int64_t scratch_embedding(const Call&) { return 0; }

void run_embedding(const Call& call) {
  const EmbeddingCall e(call);
  with_storage(call[0].dtype, [&](auto stored) {
    launch(*call.stream, {"embedding", dim3(blocks_for(e.tokens, kWarps)), dim3(kThreads)},
           embedding_kernel<decltype(stored)>, e);
  });
}

// ---- backward: the order of the tokens ----

namespace {

// (id, token), the id in the upper half: no two are equal, so any sort gives the one stable order.
using Key = uint64_t;

constexpr int kTile = 2048;  // keys that one block sorts

struct TileShared {
  SharedArray<Key, kTile> keys;
};

__device__ __forceinline__ Key make_key(int64_t id, int64_t token) {
  return static_cast<Key>(id) << 32 | static_cast<Key>(token);
}

__device__ __forceinline__ int64_t token_of(Key key) { return static_cast<uint32_t>(key); }

// Tokens of no sequence, or with an id that the table has not, go behind all others, where no row looks.
__device__ __forceinline__ Key key_of(const EmbeddingBackwardCall& e, int64_t t) {
  const int64_t id = t >= e.cu[e.sequences] ? e.words : e.ids[t];
  return make_key(id >= 0 && id < e.words ? id : e.words, t);
}

// Batcher's bitonic network over `size` keys, a power of two; a thread compares one pair at a time.
__device__ __forceinline__ void sort_tile(TileShared& s, int size) {
  for (int run = 2; run <= size; run *= 2) {
    for (int distance = run / 2; distance > 0; distance /= 2) {
      sync_block();
      const int pair = static_cast<int>(threadIdx.x);
      const int low = 2 * pair - (pair & (distance - 1)), high = low + distance;
      if (high >= size) continue;
      const Key a = s.keys[low], b = s.keys[high];
      const bool ascending = (low & run) == 0;
      if ((a > b) != ascending) continue;
      s.keys[low] = b;
      s.keys[high] = a;
    }
  }
  sync_block();
}

// A block takes `size` tokens and leaves their keys in order.
__global__ void sort_tokens_kernel(Key* keys, EmbeddingBackwardCall e, int size) {
  TileShared& s = shared<TileShared>();
  const int64_t begin = int64_t{blockIdx.x} * size;
  for (int i = static_cast<int>(threadIdx.x); i < size; i += static_cast<int>(blockDim.x)) {
    s.keys[i] = begin + i < e.tokens ? key_of(e, begin + i) : ~Key{0};
  }
  sort_tile(s, size);
  for (int i = static_cast<int>(threadIdx.x); i < size; i += static_cast<int>(blockDim.x)) {
    if (begin + i < e.tokens) keys[begin + i] = s.keys[i];
  }
}

// How many of the sorted keys are less than `key`.
__device__ __forceinline__ int64_t count_below(const Key* keys, int64_t count, Key key) {
  int64_t low = 0, high = count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (keys[middle] < key)
      low = middle + 1;
    else
      high = middle;
  }
  return low;
}

// Runs of `length` sorted keys become runs of twice that: a key's place is its own within its run plus the number of
// keys before it in the run beside it. A thread for each key.
__global__ void merge_tokens_kernel(Key* to, const Key* from, int64_t count, int64_t length) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= count) return;
  const int64_t run = i / length, other = (run ^ 1) * length;
  const int64_t others = other + length < count ? length : count - other;  // < 1: there is none
  const Key key = from[i];
  const int64_t before = others > 0 ? count_below(from + other, others, key) : 0;
  to[i - (run & 1) * length + before] = key;
}

// starts[v] = first place of id v or more, for v in [0, words]. A thread for each.
__global__ void find_starts_kernel(int32_t* starts, const Key* keys, int64_t count, int64_t words) {
  const int64_t v = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (v <= words) starts[v] = static_cast<int32_t>(count_below(keys, count, make_key(v, 0)));
}

// ---- backward: sums ----

template <class S>
__global__ void word_gradient_kernel(EmbeddingBackwardCall e, const Key* keys, const int32_t* starts,
                                     unsigned stripes) {
  const StripePlace place = stripe_place(stripes);
  if (place.row >= e.words) return;
  const int64_t width = e.columns - place.column;
  const int32_t end = starts[place.row + 1];
  Columns sum{};
#pragma unroll 8
  for (int32_t i = starts[place.row]; i < end; ++i) {
    add_columns(sum, load_columns(as<S>(e.dy) + token_of(keys[i]) * e.columns + place.column, width));
  }
  store_columns(e.d_word + place.row * e.columns + place.column, width, sum);
}

template <class S>
__global__ void position_gradient_kernel(EmbeddingBackwardCall e, unsigned stripes) {
  const StripePlace place = stripe_place(stripes);
  if (place.row >= e.positions) return;
  const int64_t width = e.columns - place.column;
  const int64_t index = place.row - e.position_offset;  // within the sequence
  Columns sum{};
  int64_t begin = e.cu[0];
#pragma unroll 4
  for (int64_t b = 0; b < e.sequences && index >= 0; ++b) {
    const int64_t end = e.cu[b + 1];
    if (begin + index < end) {
      add_columns(sum, load_columns(as<S>(e.dy) + (begin + index) * e.columns + place.column, width));
    }
    begin = end;
  }
  store_columns(e.d_position + place.row * e.columns + place.column, width, sum);
}

// slots[chunk, type] = sum of dy over the chunk's tokens of that type
template <class S>
__global__ void type_slots_kernel(float* slots, EmbeddingBackwardCall e, int64_t chunks, int64_t rows,
                                  unsigned stripes) {
  const StripePlace place = stripe_place(stripes);
  const int64_t chunk = place.row / e.token_types, type = place.row % e.token_types;
  if (chunk >= chunks) return;
  const int64_t width = e.columns - place.column;
  const int64_t real = e.cu[e.sequences];
  const int64_t begin = chunk * rows, end = begin + rows < real ? begin + rows : real;
  Columns sum{};
#pragma unroll 4
  for (int64_t t = begin; t < end; ++t) {
    if ((e.types ? e.types[t] : 0) == type)
      add_columns(sum, load_columns(as<S>(e.dy) + t * e.columns + place.column, width));
  }
  store_columns(slots + place.row * e.columns + place.column, width, sum);
}

// sums[i] = Σ slots[slot, i], in the order of the slots. A thread for each.
__global__ void add_slots_kernel(float* sums, const float* slots, int64_t count, int64_t size) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= size) return;
  float sum = 0;
#pragma unroll 8
  for (int64_t slot = 0; slot < count; ++slot) sum += slots[slot * size + i];
  sums[i] = sum;
}

// ---- backward: launchers ----

constexpr int64_t kTypeTokens = 128;  // of a chunk, at least
constexpr int64_t kTypeChunks = 256;  // at most: they bound the slots

int64_t type_chunks(int64_t tokens) {
  const int64_t chunks = chunk_count(tokens, kTypeTokens);
  return chunks < kTypeChunks ? chunks : kTypeChunks;
}

struct BackwardScratch {
  BackwardScratch(const EmbeddingBackwardCall& e, char* base) {
    Scratch scratch(base);
    constexpr int64_t kKeyFloats = sizeof(Key) / sizeof(float);
    if (e.d_word) {
      keys = reinterpret_cast<Key*>(scratch.floats(kKeyFloats * e.tokens));
      other = reinterpret_cast<Key*>(scratch.floats(kKeyFloats * e.tokens));
      starts = reinterpret_cast<int32_t*>(scratch.floats(e.words + 1));
    }
    if (e.d_token_type) slots = scratch.floats(type_chunks(e.tokens) * e.token_types * e.columns);
    bytes = scratch.bytes();
  }

  Key* keys = nullptr;        // [T]
  Key* other = nullptr;       // [T] the other side of each merge
  int32_t* starts = nullptr;  // [V + 1]
  float* slots = nullptr;     // [chunks of tokens, S, C]
  int64_t bytes = 0;
};

unsigned stripes_of(const EmbeddingBackwardCall& e) { return blocks_for(e.columns, kStripe); }

Grid stripes_grid(const EmbeddingBackwardCall& e, int64_t rows) {
  return {"embedding_backward", dim3(blocks_for(rows * stripes_of(e), kWarps)), dim3(kThreads)};
}

Grid elements_grid(int64_t elements) {
  return {"embedding_backward", dim3(blocks_for(elements, kThreads)), dim3(kThreads)};
}

// All tokens' keys in order.
const Key* sort_tokens(Stream& stream, const EmbeddingBackwardCall& e, const BackwardScratch& scratch) {
  int tile = 2 * kWarp;
  while (tile < kTile && tile < e.tokens) tile *= 2;
  Key *from = scratch.keys, *to = scratch.other;
  launch(stream,
         {"embedding_backward", dim3(blocks_for(e.tokens, tile)), dim3(static_cast<unsigned>(tile / 2)),
          sizeof(TileShared)},
         sort_tokens_kernel, from, e, tile);
  for (int64_t length = tile; length < e.tokens; length *= 2) {
    launch(stream, elements_grid(e.tokens), merge_tokens_kernel, to, from, e.tokens, length);
    Key* const swap = from;
    from = to;
    to = swap;
  }
  return from;
}

template <class S>
void word_gradient(Stream& stream, const EmbeddingBackwardCall& e, const BackwardScratch& scratch) {
  const Key* const keys = sort_tokens(stream, e, scratch);
  launch(stream, elements_grid(e.words + 1), find_starts_kernel, scratch.starts, keys, e.tokens, e.words);
  launch(stream, stripes_grid(e, e.words), word_gradient_kernel<S>, e, keys, scratch.starts, stripes_of(e));
}

template <class S>
void token_type_gradient(Stream& stream, const EmbeddingBackwardCall& e, const BackwardScratch& scratch) {
  const int64_t chunks = type_chunks(e.tokens), rows = chunk_count(e.tokens, chunks > 0 ? chunks : 1);
  const int64_t size = e.token_types * e.columns;
  launch(stream, stripes_grid(e, chunks * e.token_types), type_slots_kernel<S>, scratch.slots, e, chunks, rows,
         stripes_of(e));
  launch(stream, elements_grid(size), add_slots_kernel, e.d_token_type, scratch.slots, chunks, size);
}

}  // namespace

int64_t scratch_embedding_backward(const Call& call) {
  return BackwardScratch(EmbeddingBackwardCall(call), nullptr).bytes;
}

void run_embedding_backward(const Call& call) {
  const EmbeddingBackwardCall e(call);
  const BackwardScratch scratch(e, call.scratch);
  with_storage(call[3].dtype, [&](auto stored) {
    using S = decltype(stored);
    if (e.d_word) word_gradient<S>(*call.stream, e, scratch);
    if (e.d_position) {
      launch(*call.stream, stripes_grid(e, e.positions), position_gradient_kernel<S>, e, stripes_of(e));
    }
    if (e.d_token_type) token_type_gradient<S>(*call.stream, e, scratch);
  });
}

}  // namespace oa::cuda
