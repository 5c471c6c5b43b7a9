#include "runtime/weights.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <set>

#include "base/dtype.h"
#include "base/error.h"

namespace oa {
namespace {

constexpr int64_t kLine = 64;  // bytes
constexpr int64_t kRowsPerChunk = 64;

[[noreturn]] void fail(const WeightEntry& entry, const std::string& what) {
  throw Error("ERR_WEIGHTS", "weight \"" + entry.key + "\": " + what, {{"key", entry.key}});
}

void check_entry(const WeightEntry& entry, const Device& device) {
  if (entry.rows < 0 || entry.columns < 1) fail(entry, "has no valid shape");
  if (entry.form != Form::raw && entry.form != Form::packed && entry.form != Form::packed_transposed) {
    fail(entry, "has an unknown form");
  }
  if (entry.dtype != DType::f32 && !(entry.dtype == DType::bf16 && device.stores_bf16())) {
    fail(entry, std::string("is to be held as ") + dtype_name(entry.dtype) + ", which " + std::string(device.name()) +
                    " does not");
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

int64_t elements_of(const PackFunctions* packing, const WeightEntry& entry) {
  if (packing && entry.form == Form::packed) return packing->packed_floats(entry.rows, entry.columns);
  if (packing && entry.form == Form::packed_transposed) return packing->packed_floats(entry.columns, entry.rows);
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
void fill(const PackFunctions* packing, ThreadPool& pool, float* target, const WeightEntry& entry) {
  if (entry.rows == 0) return;
  if (!packing || entry.form == Form::raw) return widen_all(pool, target, entry);
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
    packing->pack(&pool, target, source, entry.rows, entry.columns, row_stride, column_stride);
  } else {
    packing->pack(&pool, target, source, entry.columns, entry.rows, column_stride, row_stride);
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

// "encoder.w" of "encoder.w|packed"
std::string value_name(const std::string& key) { return key.substr(0, key.rfind('|')); }

}  // namespace

void Weights::load(std::span<const WeightEntry> entries, int threads) {
  std::set<std::string> keys;
  for (const WeightEntry& entry : entries) {
    check_entry(entry, *device_);
    if (find(entry.key) || !keys.insert(entry.key).second) fail(entry, "is loaded already");
  }
  std::map<std::string, Weight> loaded;
  const auto arena = place(entries, loaded);
  ThreadPool pool(std::max(1, threads));
  std::vector<float> staging;
  for (const WeightEntry& entry : entries) {
    const Weight& weight = loaded.at(entry.key);
    if (weight.arena != arena || weight.shared) continue;
    if (!device_->is_remote()) {
      fill(device_->packing(), pool, static_cast<float*>(weight.data), entry);
      continue;
    }
    staging.resize(static_cast<size_t>(weight.elements));
    fill(device_->packing(), pool, staging.data(), entry);
    send(weight, staging);
  }
  const std::lock_guard lock(mutex_);
  weights_.merge(loaded);
}

// From this process to a remote device, in the weight's type.
void Weights::send(const Weight& weight, std::vector<float>& values) const {
  if (weight.dtype == DType::bf16) {
    std::vector<uint16_t> halves(values.size());
    std::transform(values.begin(), values.end(), halves.begin(), float_to_bf16);
    return device_->write(weight.data, halves.data(), halves.size() * sizeof(uint16_t));
  }
  device_->write(weight.data, values.data(), values.size() * sizeof(float));
}

// Gives every entry its place in one new arena. Where the device reads plain rows in all products, the forms of one
// value are one weight.
std::shared_ptr<Arena> Weights::place(std::span<const WeightEntry> entries,
                                      std::map<std::string, Weight>& loaded) const {
  const PackFunctions* const packing = device_->packing();
  std::map<std::string, Weight> rows;  // by value name
  if (!packing) {
    const std::lock_guard lock(mutex_);
    for (const auto& [key, weight] : weights_) rows.emplace(value_name(key), weight);
  }
  int64_t total = 0;
  std::vector<std::pair<const WeightEntry*, int64_t>> fresh;
  for (const WeightEntry& entry : entries) {
    if (!packing && !rows.emplace(value_name(entry.key), Weight{}).second) continue;
    fresh.emplace_back(&entry, total);
    total += (elements_of(packing, entry) * dtype_bytes(entry.dtype) + kLine - 1) / kLine * kLine;
  }
  const auto arena = device_->allocate(static_cast<size_t>(total), "the frozen weights");
  for (const auto& [entry, offset] : fresh) {
    const Weight weight{static_cast<char*>(arena->data()) + offset,
                        entry->dtype,
                        elements_of(packing, *entry),
                        entry->rows,
                        entry->columns,
                        entry->form,
                        false,
                        arena};
    loaded.emplace(entry->key, weight);
    if (!packing) rows[value_name(entry->key)] = weight;
  }
  for (const WeightEntry& entry : entries) {
    if (loaded.contains(entry.key)) continue;
    Weight weight = rows.at(value_name(entry.key));
    if (weight.rows != entry.rows || weight.columns != entry.columns || weight.dtype != entry.dtype) {
      fail(entry, "has other sizes, or another type, in another form");
    }
    weight.form = entry.form;
    weight.shared = true;
    loaded.emplace(entry.key, weight);
  }
  return arena;
}

const Weight* Weights::find(const std::string& key) const {
  const std::lock_guard lock(mutex_);
  const auto found = weights_.find(key);
  return found == weights_.end() ? nullptr : &found->second;
}

std::string Weights::hash() const {
  const std::lock_guard lock(mutex_);
  uint64_t hash = 0;
  std::vector<char> mirror;
  for (const auto& [key, weight] : weights_) {
    const auto bytes = static_cast<size_t>(weight.bytes());
    hash = hash_bytes(hash, key.data(), key.size());
    if (device_->is_remote()) {
      mirror.resize(bytes);
      device_->read(mirror.data(), weight.data, bytes);
    }
    hash = hash_bytes(hash, device_->is_remote() ? static_cast<const void*>(mirror.data()) : weight.data, bytes);
  }
  char text[17];
  std::snprintf(text, sizeof text, "%016llx", static_cast<unsigned long long>(hash));
  return text;
}

int64_t Weights::bytes() const {
  const std::lock_guard lock(mutex_);
  int64_t bytes = 0;
  for (const auto& [key, weight] : weights_) bytes += weight.shared ? 0 : weight.bytes();
  return bytes;
}

}  // namespace oa
