#include "ops/embedding.h"

#include "ops/chunks.h"
#include "ops/column_sums.h"
#include "ops/rows.h"
#include "ops/scratch.h"
#include "ops/shapes.h"

namespace oa::OA_ISA {

namespace {

constexpr int64_t kRows = 16;

template <bool kPosition, bool kTokenType>
void sum_rows(float* y, const float* word, const float* position, const float* token_type, int64_t n) {
  if constexpr (kPosition && kTokenType) {
    map_row(y, n, [](Vec w, Vec p, Vec s) { return w + p + s; }, word, position, token_type);
  } else if constexpr (kPosition) {
    map_row(y, n, [](Vec w, Vec p) { return w + p; }, word, position);
  } else if constexpr (kTokenType) {
    map_row(y, n, [](Vec w, Vec s) { return w + s; }, word, token_type);
  } else {
    copy_row(y, word, n);
  }
}

template <bool kPosition, bool kTokenType>
void lookup(const EmbeddingCall& e, ThreadPool& pool) {
  pool.parallel_for(chunk_count(e.tokens, kRows), [&](int64_t chunk, int) {
    const ChunkRange range = chunk_range(chunk, kRows, e.tokens);
    int64_t sequence = sequence_of(e.cu, e.sequences, range.begin);
    for (int64_t t = range.begin; t < range.end; ++t) {
      while (sequence + 1 < e.sequences && t >= e.cu[sequence + 1]) ++sequence;
      const float* word = e.word + e.ids[t] * e.columns;
      const float* position = nullptr;
      const float* token_type = nullptr;
      if constexpr (kPosition) position = e.position + (t - e.cu[sequence] + e.position_offset) * e.columns;
      if constexpr (kTokenType) token_type = e.token_type + (e.types ? e.types[t] : 0) * e.columns;
      sum_rows<kPosition, kTokenType>(e.y + t * e.columns, word, position, token_type, e.columns);
    }
  });
}

}  // namespace

const char* check_embedding(const Call& call) {
  const Operand& y = call[0];
  if (y.rank != 2) return "y must be [T, C]";
  if (!is_vector(call[1], y.shape[0])) return "ids must be [T], one for every row of y";
  if (call[2] && !is_vector(call[2], y.shape[0])) return "types must be [T], one for every row of y";
  if (!is_cumulative(call[3])) return "cu must be [B + 1]";
  if (call[4].rank != 2 || call[4].shape[0] < 1 || call[4].shape[1] != y.shape[1])
    return "word must be [V, C] with the columns of y";
  if (call[5] && (call[5].rank != 2 || call[5].shape[1] != y.shape[1])) {
    return "position must be [P, C] with the columns of y";
  }
  if (call[6] && (call[6].rank != 2 || call[6].shape[0] < 1 || call[6].shape[1] != y.shape[1])) {
    return "token_type must be [S, C] with the columns of y";
  }
  if (call.attribute_i32(0) < 0) return "position_offset must not be negative";
  if (call[5] && call.attribute_i32(0) >= call[5].shape[0]) return "position_offset must be a row of position";
  return nullptr;
}

int64_t scratch_embedding(const Call&) { return 0; }

void run_embedding(const Call& call) {
  const EmbeddingCall e(call);
  if (e.sequences < 1) return;
  if (e.position && e.token_type) {
    lookup<true, true>(e, *call.pool);
  } else if (e.position) {
    lookup<true, false>(e, *call.pool);
  } else if (e.token_type) {
    lookup<false, true>(e, *call.pool);
  } else {
    lookup<false, false>(e, *call.pool);
  }
}

// ---- backward ----

namespace {

constexpr int64_t kWordRows = 64;
constexpr int64_t kPositionRows = 4;
constexpr int64_t kColumns = 256;  // short sequences touch few positions: columns share out the work
constexpr int64_t kTypeTokens = 128;

constexpr int kDigitBits = 11;
constexpr int64_t kDigits = int64_t{1} << kDigitBits;

struct BackwardScratch {
  BackwardScratch(const EmbeddingBackwardCall& e, char* base) {
    Scratch scratch(base);
    const auto integers = [&](int64_t n) { return reinterpret_cast<int32_t*>(scratch.floats(n)); };
    if (e.d_word) {
      order = integers(e.tokens);
      other = integers(e.tokens);
      histogram = integers(kDigits);
    }
    if (e.d_token_type) slots = scratch.floats(chunk_count(e.tokens, kTypeTokens) * e.token_types * e.columns);
    bytes = scratch.bytes();
  }

  int32_t* order = nullptr;      // [T] tokens sorted by id, those of one id in token order
  int32_t* other = nullptr;      // [T] the other side of each sorting pass
  int32_t* histogram = nullptr;  // [kDigits]
  float* slots = nullptr;        // [chunks of tokens, S, C]
  int64_t bytes = 0;
};

struct TokenOrder {
  const int32_t* tokens;
  int64_t count;
};

// Tokens sorted by id with a stable least-significant-digit radix sort: time and memory O(T), whatever the vocabulary
// (two passes below 2^22 ids). An id outside the table would be written outside of it, so those tokens are left out.
TokenOrder sort_by_id(const EmbeddingBackwardCall& e, const BackwardScratch& scratch) {
  int32_t* from = scratch.order;
  int32_t* to = scratch.other;
  int64_t count = 0;
  for (int64_t t = 0; t < e.tokens; ++t) {
    if (e.ids[t] >= 0 && e.ids[t] < e.words) from[count++] = static_cast<int32_t>(t);
  }
  for (int shift = 0; ((e.words - 1) >> shift) > 0; shift += kDigitBits) {
    const auto digit = [&](int32_t token) { return (e.ids[token] >> shift) & (kDigits - 1); };
    __builtin_memset(scratch.histogram, 0, kDigits * sizeof(int32_t));
    for (int64_t i = 0; i < count; ++i) ++scratch.histogram[digit(from[i])];
    int32_t start = 0;
    for (int64_t d = 0; d < kDigits; ++d) {
      const int32_t size = scratch.histogram[d];
      scratch.histogram[d] = start;
      start += size;
    }
    for (int64_t i = 0; i < count; ++i) to[scratch.histogram[digit(from[i])]++] = from[i];
    int32_t* swap = from;
    from = to;
    to = swap;
  }
  return {from, count};
}

// First place in the order whose id is at least `word`.
int64_t lower_bound(const EmbeddingBackwardCall& e, TokenOrder order, int64_t word) {
  int64_t low = 0;
  int64_t high = order.count;
  while (low < high) {
    const int64_t middle = (low + high) / 2;
    if (e.ids[order.tokens[middle]] < word) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

// One pass over the table writes zeros and sums alike, since for a vocabulary of 30,522 rows the writing is most of the
// time. Rows without tokens are zeroed a whole gap at a time: long fills do not read what they overwrite.
void word_gradient(const EmbeddingBackwardCall& e, const BackwardScratch& scratch, ThreadPool& pool) {
  const TokenOrder order = sort_by_id(e, scratch);
  pool.parallel_for(chunk_count(e.words, kWordRows), [&](int64_t chunk, int) {
    const ChunkRange rows = chunk_range(chunk, kWordRows, e.words);
    int64_t next = rows.begin;  // first row not yet written
    for (int64_t at = lower_bound(e, order, rows.begin); at < order.count; ++at) {
      const int64_t token = order.tokens[at];
      const int64_t word = e.ids[token];
      if (word >= rows.end) break;
      float* d = e.d_word + word * e.columns;
      const float* dy = e.dy + token * e.columns;
      if (word < next) {
        add_row(d, dy, e.columns);
      } else {
        zero_row(e.d_word + next * e.columns, (word - next) * e.columns);
        copy_row(d, dy, e.columns);
        next = word + 1;
      }
    }
    zero_row(e.d_word + next * e.columns, (rows.end - next) * e.columns);
  });
}

void position_gradient(const EmbeddingBackwardCall& e, ThreadPool& pool) {
  const int64_t across = chunk_count(e.columns, kColumns);
  pool.parallel_for(chunk_count(e.positions, kPositionRows) * across, [&](int64_t chunk, int) {
    const ChunkRange rows = chunk_range(chunk / across, kPositionRows, e.positions);
    const ChunkRange columns = chunk_range(chunk % across, kColumns, e.columns);
    const int64_t width = columns.end - columns.begin;
    for (int64_t p = rows.begin; p < rows.end; ++p) zero_row(e.d_position + p * e.columns + columns.begin, width);
    for (int64_t b = 0; b < e.sequences; ++b) {
      const int64_t length = e.cu[b + 1] - e.cu[b];
      for (int64_t p = rows.begin; p < rows.end; ++p) {
        const int64_t index = p - e.position_offset;  // within the sequence
        if (index < 0 || index >= length) continue;
        add_row(e.d_position + p * e.columns + columns.begin, e.dy + (e.cu[b] + index) * e.columns + columns.begin,
                width);
      }
    }
  });
}

void token_type_gradient(const EmbeddingBackwardCall& e, const BackwardScratch& scratch, ThreadPool& pool) {
  const int64_t chunks = chunk_count(e.tokens, kTypeTokens);
  const int64_t slot = e.token_types * e.columns;
  pool.parallel_for(chunks, [&](int64_t chunk, int) {
    float* sums = scratch.slots + chunk * slot;
    zero_row(sums, slot);
    const ChunkRange range = chunk_range(chunk, kTypeTokens, e.tokens);
    for (int64_t t = range.begin; t < range.end; ++t) {
      const int64_t type = e.types ? e.types[t] : 0;
      if (type < 0 || type >= e.token_types) continue;
      add_row(sums + type * e.columns, e.dy + t * e.columns, e.columns);
    }
  });
  add_slots(pool, e.d_token_type, scratch.slots, slot, chunks, slot);
}

}  // namespace

const char* check_embedding_backward(const Call& call) {
  const Operand& dy = call[3];
  if (dy.rank != 2) return "dy must be [T, C]";
  if (call[0] && (call[0].rank != 2 || call[0].shape[1] != dy.shape[1])) {
    return "d_word must be [V, C] with the columns of dy";
  }
  if (call[1] && (call[1].rank != 2 || call[1].shape[1] != dy.shape[1])) {
    return "d_position must be [P, C] with the columns of dy";
  }
  if (call[2] && (call[2].rank != 2 || call[2].shape[1] != dy.shape[1])) {
    return "d_token_type must be [S, C] with the columns of dy";
  }
  if (!is_vector(call[4], dy.shape[0])) return "ids must be [T], one for every row of dy";
  if (call[5] && !is_vector(call[5], dy.shape[0])) return "types must be [T], one for every row of dy";
  if (!is_cumulative(call[6])) return "cu must be [B + 1]";
  if (call.attribute_i32(0) < 0) return "position_offset must not be negative";
  return nullptr;
}

int64_t scratch_embedding_backward(const Call& call) {
  return BackwardScratch(EmbeddingBackwardCall(call), nullptr).bytes;
}

void run_embedding_backward(const Call& call) {
  const EmbeddingBackwardCall e(call);
  const BackwardScratch scratch(e, call.scratch);
  if (e.d_word) word_gradient(e, scratch, *call.pool);
  if (e.d_position) position_gradient(e, *call.pool);
  if (e.d_token_type) token_type_gradient(e, scratch, *call.pool);
}

}  // namespace oa::OA_ISA
