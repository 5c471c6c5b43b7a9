// Frozen weights of a backbone: copied and prepacked once, then shared by any number of sessions.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "base/arena.h"
#include "base/dtype.h"
#include "runtime/device.h"

namespace oa {

// Rows of a weight as a model file holds them: f32 or half floats, [rows, columns] or its transpose.
struct WeightPart {
  const float* f32 = nullptr;      // one of the two
  const uint16_t* half = nullptr;  // IEEE half bits
  int64_t elements = 0;
  int64_t rows = 0;
  bool transposed = false;
};

// A weight [rows, columns] is the concatenation of its parts along rows. Vectors: columns = 1.
struct WeightEntry {
  std::string key;  // "<value name>|<form>"
  Form form = Form::raw;
  int64_t rows = 0;
  int64_t columns = 0;
  std::vector<WeightPart> parts;
  DType dtype = DType::f32;  // f32 or, on devices that store it, bf16
};

// A weight on its device, in the layout that its form names where products read packed weights, else rows.
struct Weight {
  void* data = nullptr;
  DType dtype = DType::f32;
  int64_t elements = 0;  // with the padding of panels
  int64_t rows = 0;
  int64_t columns = 0;
  Form form = Form::raw;
  bool shared = false;           // the same memory under the key of another form
  std::shared_ptr<Arena> arena;  // owns data

  int64_t bytes() const { return elements * dtype_bytes(dtype); }
};

class Weights {
 public:
  explicit Weights(std::shared_ptr<const Device> device) : device_(std::move(device)) {}

  const Device& device() const { return *device_; }
  std::shared_ptr<const Device> shared_device() const { return device_; }

  // Copies, widens and packs on `threads` threads. All or nothing: throws ERR_WEIGHTS naming the key when an entry is
  // malformed or already there, ERR_MEMORY. The parts are read during the call only.
  void load(std::span<const WeightEntry> entries, int threads);

  // The weight, or null. Stays valid as long as this object.
  const Weight* find(const std::string& key) const;

  // 64-bit hash over keys and contents of all native buffers, 16 hex digits: equal before and after training.
  std::string hash() const;
  int64_t bytes() const;

 private:
  void send(const Weight& weight, std::vector<float>& values) const;
  std::shared_ptr<Arena> place(std::span<const WeightEntry> entries, std::map<std::string, Weight>& loaded) const;

  std::shared_ptr<const Device> device_;
  mutable std::mutex mutex_;
  std::map<std::string, Weight> weights_;
};

}  // namespace oa
