// JavaScript values to native ones, checked: what is wrong throws at the call, naming the argument.
#pragma once

#include <napi.h>

#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "base/arena.h"
#include "ops/call.h"
#include "runtime/batch.h"
#include "runtime/weights.h"

namespace oa {

// Views of JavaScript memory, and the array that keeps that memory. What other memory is found by is copied: the caller
// could change it between check and use.
struct BatchList {
  std::vector<Batch> batches;
  std::shared_ptr<std::deque<std::vector<int32_t>>> copies;
  Napi::ObjectReference keep;
};
struct EntryList {
  std::vector<WeightEntry> entries;
  Napi::ObjectReference keep;
};

BatchList to_batches(const Napi::Value& value);
EntryList to_weight_entries(const Napi::Value& value);

// 'parameters', 'gradients', 'moment1' or 'moment2'. Throws ERR_OPTION.
Storage to_slot(const Napi::Value& value);

// A whole number in [low, high], or `fallback` where the property is absent. Throws ERR_OPTION.
int64_t to_integer(const Napi::Object& options, const char* name, int64_t fallback, int64_t low, int64_t high);

std::string to_string(const Napi::Value& value, const char* what);
Napi::Object to_object(const Napi::Value& value, const char* what);
Napi::Float32Array to_floats(const Napi::Value& value, const char* what);
Napi::Uint8Array to_bytes(const Napi::Value& value, const char* what);

// The arena's memory itself, its first `bytes`; the buffer keeps the arena alive. A copy where the runtime forbids
// external memory.
Napi::ArrayBuffer share(Napi::Env env, const std::shared_ptr<Arena>& arena, size_t bytes);

Napi::Float32Array copy_floats(Napi::Env env, const float* data, size_t count);

}  // namespace oa
