#include "runtime/weights.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>

#include "base/dtype.h"
#include "base/error.h"

namespace oa {
namespace {

constexpr int64_t kFloatsPerLine = 16;  // 64 bytes
constexpr int64_t kRowsPerChunk = 64;

[[noreturn]] void fail(const WeightEntry& entry, const std::string& what) {
  throw Error("ERR_WEIGHTS", "weight \"" + entry.key + "\": " + what, {{"key", entry.key}});
}

void check_entry(const WeightEntry& entry) {
  if (entry.rows < 0 || entry.columns < 1) fail(entry, "has no valid shape");
  if (entry.form != Form::raw && entry.form != Form::packed && entry.form != Form::packed_transposed) {
    fail(entry, "has an unknown form");
  }
  int64_t rows = 0;
  for (const WeightPart& part : entry.parts) {
    if ((part.f32 == nullptr) == (part.half == nullptr) && part.elements > 0) fail(entry, "has a part without data");
    if (part.rows < 0 || part.elements != part.rows * entry.columns) {
      fail(entry, "has a part of " + std::to_string(part.elements) + " elements, expected " +
                      std::to_string(part.rows) + " x " + std::to_string(entry.columns));
    }
    rows += part.rows;
  }
  if (rows != entry.rows) {
    fail(entry, "has parts of " + std::to_string(rows) + " rows in all, expected " + std::to_string(entry.rows));
  }
}

int64_t floats_of(const CpuBackend& backend, const WeightEntry& entry) {
  switch (entry.form) {
    case Form::packed: return backend.packed_floats(entry.rows, entry.columns);
    case Form::packed_transposed: return backend.packed_floats(entry.columns, entry.rows);
    case Form::raw: break;
  }
  return entry.rows * entry.columns;
}

float element(const WeightPart& part, int64_t index) {
  return part.half ? half_to_float(part.half[index]) : part.f32[index];
}

// target[rows, columns] = the part as rows of f32.
void widen(ThreadPool& pool, float* target, const WeightPart& part, int64_t columns) {
  pool.parallel_for((part.rows + kRowsPerChunk - 1) / kRowsPerChunk, [&](int64_t chunk, int) {
    const int64_t begin = chunk * kRowsPerChunk, end = std::min(part.rows, begin + kRowsPerChunk);
    if (part.transposed) {  // read along the file's rows, write down our columns: blocks of 64 stay in cache
      for (int64_t block = 0; block < columns; block += kRowsPerChunk) {
        for (int64_t row = begin; row < end; ++row) {
          for (int64_t column = block; column < std::min(columns, block + kRowsPerChunk); ++column) {
            target[row * columns + column] = element(part, column * part.rows + row);
          }
        }
      }
    } else if (part.half) {
      for (int64_t i = begin * columns; i < end * columns; ++i) target[i] = half_to_float(part.half[i]);
    } else {
      std::memcpy(target + begin * columns, part.f32 + begin * columns, sizeof(float) * (end - begin) * columns);
    }
  });
}

void widen_all(ThreadPool& pool, float* target, const WeightEntry& entry) {
  for (const WeightPart& part : entry.parts) {
    if (part.rows > 0) widen(pool, target, part, entry.columns);
    target += part.rows * entry.columns;
  }
}

// Fills `target` in the entry's form. A single f32 part is packed straight from the caller's memory; anything else
// goes through a temporary of this one weight.
void fill(const CpuBackend& backend, ThreadPool& pool, float* target, const WeightEntry& entry) {
  if (entry.rows == 0) return;
  if (entry.form == Form::raw) return widen_all(pool, target, entry);
  std::unique_ptr<float[]> widened;
  const float* source = nullptr;
  int64_t row_stride = entry.columns, column_stride = 1;
  if (entry.parts.size() == 1 && entry.parts[0].f32) {
    source = entry.parts[0].f32;
    if (entry.parts[0].transposed) row_stride = 1, column_stride = entry.rows;
  } else {
    widened.reset(new float[entry.rows * entry.columns]);
    widen_all(pool, widened.get(), entry);
    source = widened.get();
  }
  if (entry.form == Form::packed) {
    backend.pack(&pool, target, source, entry.rows, entry.columns, row_stride, column_stride);
  } else {
    backend.pack(&pool, target, source, entry.columns, entry.rows, column_stride, row_stride);
  }
}

// Multiply-rotate over 64-bit words in four lanes: as fast as memory, and any changed bit changes the result.
uint64_t hash_bytes(uint64_t seed, const void* data, size_t bytes) {
  constexpr uint64_t kPrime = 0x9E3779B185EBCA87ull;
  uint64_t lanes[4] = {seed ^ bytes, seed + 1, seed + 2, seed + 3};
  const char* next = static_cast<const char*>(data);
  const auto mix = [](uint64_t lane, uint64_t word) {
    lane = (lane ^ word) * kPrime;
    return lane ^ (lane >> 29);
  };
  while (bytes >= 32) {
    uint64_t words[4];
    std::memcpy(words, next, 32);
    for (int i = 0; i < 4; ++i) lanes[i] = mix(lanes[i], words[i]);
    next += 32, bytes -= 32;
  }
  for (; bytes > 0; ++next, --bytes) lanes[0] = mix(lanes[0], static_cast<unsigned char>(*next));
  uint64_t result = 0;
  for (const uint64_t lane : lanes) result = mix(result, lane);
  return result;
}

}  // namespace

void Weights::load(std::span<const WeightEntry> entries, int threads) {
  int64_t total = 0;
  std::set<std::string> keys;
  for (const WeightEntry& entry : entries) {
    check_entry(entry);
    if (find(entry.key) || !keys.insert(entry.key).second) fail(entry, "is loaded already");
    total += (floats_of(backend_, entry) + kFloatsPerLine - 1) / kFloatsPerLine * kFloatsPerLine;
  }
  const auto arena = Arena::allocate(static_cast<size_t>(total) * sizeof(float), "the frozen weights");
  ThreadPool pool(std::max(1, threads));
  std::map<std::string, Weight> loaded;
  float* next = arena->floats();
  for (const WeightEntry& entry : entries) {
    Weight weight{next, floats_of(backend_, entry), entry.rows, entry.columns, entry.form, arena};
    fill(backend_, pool, weight.data, entry);
    next += (weight.floats + kFloatsPerLine - 1) / kFloatsPerLine * kFloatsPerLine;
    loaded.emplace(entry.key, std::move(weight));
  }
  const std::lock_guard lock(mutex_);
  weights_.merge(loaded);
}

const Weight* Weights::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = weights_.find(key);
  return found == weights_.end() ? nullptr : &found->second;
}

std::string Weights::hash() const {
  const std::lock_guard lock(mutex_);
  uint64_t hash = 0;
  for (const auto& [key, weight] : weights_) {
    hash = hash_bytes(hash, key.data(), key.size());
    hash = hash_bytes(hash, weight.data, sizeof(float) * static_cast<size_t>(weight.floats));
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

int64_t Weights::bytes() const {
  const std::lock_guard lock(mutex_);
  int64_t floats = 0;
  for (const auto& [key, weight] : weights_) floats += weight.floats;
  return floats * static_cast<int64_t>(sizeof(float));
}

}  // namespace oa
